# SPDX-License-Identifier: MIT
"""The tasks of the incident DAG: plan, ask for approval, act, and say what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from processing_time.incident.action import Outcome, Plan, Refused, Request, Result
from processing_time.incident.audit import Answer, approved_by, conclude
from processing_time.incident.registry import DIAGNOSE, REGISTRY, ROLLBACK, load, lock_of
from processing_time.operators import run
from processing_time.operators.repair import Repair, RepairOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.messages.document import Message
    from processing_time.outbox import AlertKey, Notification
    from processing_time.settings import Settings
    from processing_time.store import Store

PREPARE, APPROVE, SECOND, ACT = "prepare", "approve", "second_approval", "act"
REFUSAL, ANSWER, SHOWN = "refusal", "answer", "shown"
"""The XComs in which a task that cannot go on says why, in which an answer is, and which plan it is an answer to."""


class NotDone(AirflowFailException):
    """What was asked for was refused or failed; the thread and the audit say why."""


class PrepareOperator(RepairOperator):
    """Check what was asked for, write the audit row, and plan; nothing is changed."""

    def part(self, context: Context) -> dict[str, Any]:
        """Give ``{"request": …, "plan": …}``.

        :raises RefusedParam: with the sentence for whoever filled in the form.
        """
        settings, store = self.settings(), self.store
        _begin(store, context)
        try:
            request = self._request(context, settings, store)
            plan = load(request.action).plan(request, self.hands(settings, store))
        except Refused as refusal:
            raise _refused(context, refusal, settings) from None
        self.log.info("%s", settings.named(_plan_text(request, plan)))
        return {"request": request.to_json(), "plan": plan.to_json()}

    def _request(self, context: Context, settings: Settings, store: Store) -> Request:
        from processing_time.incident import targets
        from processing_time.incident.request import parse

        request = parse(
            dict(context["params"]),
            settings,
            as_of=run.as_of(context, settings),
            requested_by=context["dag_run"].triggering_user_name,
        )
        if request.alert_id and store.actions.alert(request.alert_id) is None:
            raise Refused(
                f"alert_id = {request.alert_id}: there is no such alert; correct it or leave it empty"
            )
        if request.action != DIAGNOSE:  # a diagnosis says so among its answers
            targets.services(request, self.hands(settings, store))
        return request


class ApproveOperator(Repair, ApprovalOperator):
    """Ask a person; only yes lets the action go on, and silence is no.

    Skipped where the plan needs nobody. An answer that does not count leaves the question open.

    :param target: as of the other tasks.
    :param second: ask for a second person, where two have to approve.
    """

    def __init__(self, *, target: str = "", second: bool = False, **kwargs: Any) -> None:
        super().__init__(subject="Approve?", defaults=[self.REJECT], **kwargs)
        self.target = target
        self.second = second

    def execute(self, context: Context) -> Any:
        """Wait for the answer.

        :raises AirflowSkipException: when none is needed.
        """
        settings = self.settings()
        request, plan = _prepared(context)
        if self.task_id not in approvals(request, plan, settings):
            raise AirflowSkipException("no approval is needed here")
        self._tell(context, request, plan)
        self._ask(context, request, plan, settings)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Leave the :class:`Answer` to the tasks that follow; those that would act are skipped when it is no."""
        settings = self.settings()
        if objection := self._objection(context, event, settings):
            self.log.warning("%s The question stays open.", objection)
            self._ask(context, *_prepared(context), settings)
        user = event.get("responded_by_user") or {}
        approved = event.get("chosen_options") == [self.APPROVE]
        # An older version has asked without noting of which plan: it is the one that is there.
        shown = context["ti"].xcom_pull(task_ids=self.task_id, key=SHOWN) or _digest(*_prepared(context))
        answer = Answer(approved=approved, by=user.get("id"), name=user.get("name"), shown=shown)
        # Now: Airflow ends the task with an exception when it skips what is downstream of a no.
        context["ti"].xcom_push(key=ANSWER, value=answer.to_json())
        return super().execute_complete(context, event)

    def _ask(self, context: Context, request: Request, plan: Plan, settings: Settings) -> None:
        from processing_time.messages.incident import body

        self.subject = f"{request.action}: {'a second person has to approve' if self.second else 'approve?'}"
        self.body = body(request, plan)
        self.assigned_users = [{"id": user, "name": user} for user in settings.incident.approvers] or None
        context["ti"].xcom_push(key=SHOWN, value=_digest(request, plan))
        super().execute(context)

    def _objection(self, context: Context, event: Mapping[str, Any], settings: Settings) -> str:
        """Why an answer does not count; empty when it does."""
        user = (event.get("responded_by_user") or {}).get("id")
        if "error" in event or user is None:
            return ""
        if event.get("params_input"):
            return "The answer holds input that was not asked for."
        if settings.incident.approvers and user not in settings.incident.approvers:
            return f"{user} is not among incident.approvers."
        yes = event.get("chosen_options") == [self.APPROVE]  # a no counts, of the first person too
        if self.second and yes and user in {answer.by for answer in _answers(context)}:
            return f"{user} has approved already, and another person has to."
        return ""

    def _tell(self, context: Context, request: Request, plan: Plan) -> None:
        """Say in Slack that somebody is waited for; the waiting does not depend on it."""
        from processing_time.messages.incident import wanted

        page = run.page(context)
        address = f"{page}/tasks/{self.task_id}/required_actions" if page else ""
        message = wanted(request, plan, address, self.second)
        with self.in_words(), self.store as store:
            _begin(store, context)  # once more: this task may be cleared after the row was completed
            at = run.present()
            alert = store.actions.alert(request.alert_id) if request.alert_id else None
            kind = f"approval_{self.task_id}_{context['ti'].try_number}"
            store.actions.owe(
                _note(context, self.settings(), kind, message, alert, "high"),
                {alert: request.alert_id} if alert else {},
                at,
            )
            self.try_to_deliver(store)


class ActOperator(RepairOperator):
    """Do what was planned and approved, as the only one that acts under the action's lock."""

    def part(self, context: Context) -> dict[str, Any]:
        """Give the :class:`Result`.

        :raises RefusedParam: when it cannot be done (any more).
        :raises StoreError: when another run acts; repeating the task helps.
        """
        settings, store = self.settings(), self.store
        request, plan = _prepared(context)
        if request.dry_run or plan.empty:
            outcome = Outcome.NOTHING_TO_DO if plan.empty else Outcome.DRY_RUN
            return Result(outcome, plan.lines).to_json()
        _insist(context, request, plan, settings)
        try:
            _begin(store, context)  # once more: this task may be cleared after the row was completed
            with store.actions.alone(lock_of(request.action)):
                result = load(request.action).act(request, self.hands(settings, store), plan)
        except Refused as refusal:
            raise _refused(context, refusal, settings) from None
        for line in result.lines:
            self.log.info("%s", line)
        return result.to_json()


class FinishOperator(RepairOperator):
    """Complete the audit row, whatever happened, and say it in the alert's thread."""

    def part(self, context: Context) -> None:
        """Write and tell.

        :raises NotDone: when what was asked for was refused or failed, so that the run is red.
        """
        # What a task left behind stays there when it is cleared and does not begin again.
        states = _states(context)
        done, failed = ({t for t, state in states.items() if state == its} for its in ("success", "failed"))
        pull = context["ti"].xcom_pull
        prepared = pull(task_ids=PREPARE) if PREPARE in done else None
        answers = _answers(context, done)
        acted = pull(task_ids=ACT) if ACT in done else None
        refusals = (pull(task_ids=task_id, key=REFUSAL) for task_id in (ACT, PREPARE) if task_id in failed)
        result = conclude(prepared, answers, acted, next(filter(None, refusals), None))
        request = Request.from_json(prepared["request"]) if prepared else None
        store = self.store
        alert_id = _alert_id(context, request)
        alert = store.actions.alert(alert_id) if alert_id else None
        message = _message(context, request, prepared, result, approved_by(answers))
        note = _note(context, self.settings(), "incident", message, alert, _route(context))
        store.actions.finish(
            dag_run_id=context["dag_run"].run_id,
            action=_action(context),
            outcome=str(result.outcome),
            at=run.present(),
            approved_by=approved_by(answers),
            detail={
                **(prepared or {}),
                "answers": [answer.to_json() for answer in answers],
                "result": result.to_json(),
            },
            notifications=[note] if alert or _is_news(request, result, answers) else [],
            alerts={alert: alert_id} if alert else {},
        )
        self.try_to_deliver(store)
        self.log.info("%s: %s", result.outcome, " ".join(result.lines))
        if result.outcome in (Outcome.REFUSED, Outcome.FAILED):
            raise NotDone(" ".join(result.lines))


def approvals(request: Request, plan: Plan, settings: Settings) -> tuple[str, ...]:
    """The tasks whose yes a plan needs before it is acted upon."""
    if request.dry_run or plan.empty or not plan.needs_approval:
        return ()
    two = request.action == ROLLBACK and settings.incident.two_person_rollback
    return (APPROVE, SECOND) if two else (APPROVE,)


def _insist(context: Context, request: Request, plan: Plan, settings: Settings) -> None:
    """Make sure once more that those who have to approve did, whatever was done to the tasks before this one."""
    needed, shown = approvals(request, plan, settings), _digest(request, plan)
    given = {a.by for a in _answers(context) if a.approved and a.by and a.shown == shown}
    allowed = given & set(settings.incident.approvers) if settings.incident.approvers else given
    if len(allowed) < len(needed):
        raise AirflowFailException(
            f"{request.action} needs the approval of {len(needed)} and has that of {len(allowed)} for this plan:"
            " clear the task approve to ask again"
        )


# --- what the run holds -------------------------------------------------------------------------------------


def _begin(store: Store, context: Context) -> None:
    store.actions.begin(
        dag_run_id=context["dag_run"].run_id,
        action=_action(context),
        requested_by=context["dag_run"].triggering_user_name,
        dry_run=context["params"].get("dry_run") is not False,
        at=run.present(),
        detail={},
    )


def _action(context: Context) -> str:
    asked = context["params"].get("action")
    return asked if isinstance(asked, str) and asked in REGISTRY else "unknown"


def _prepared(context: Context) -> tuple[Request, Plan]:
    given = context["ti"].xcom_pull(task_ids=PREPARE)
    return Request.from_json(given["request"]), Plan.from_json(given["plan"])


def _answers(context: Context, of: Collection[str] = (APPROVE, SECOND)) -> list[Answer]:
    tasks = (task_id for task_id in (APPROVE, SECOND) if task_id in of)
    given = (context["ti"].xcom_pull(task_ids=task_id, key=ANSWER) for task_id in tasks)
    return [Answer(**answer) for answer in given if answer]


def _digest(request: Request, plan: Plan) -> str:
    """Tells a plan from any other: ``prepare`` may be cleared alone, behind the back of who approved."""
    from processing_time.store_session import to_json

    return hashlib.sha256(to_json([request.to_json(), plan.to_json()]).encode()).hexdigest()


def _states(context: Context) -> Mapping[str, str]:
    """The states of this run's tasks."""
    ti = context["ti"]
    states: Mapping[str, str] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
    return states


def _refused(context: Context, refusal: Refused, settings: Settings) -> run.RefusedParam:
    """Leave the refusal to the last task, and give the exception that ends this one."""
    ran, sentence = getattr(refusal, "ran", None), settings.named(str(refusal))
    told = {
        "outcome": str(Outcome.FAILED if ran else Outcome.REFUSED),
        "sentence": sentence,
        "detail": {"command": ran.to_json()} if ran else {},
    }
    context["ti"].xcom_push(key=REFUSAL, value=told)
    return run.RefusedParam(sentence)


def _plan_text(request: Request, plan: Plan) -> str:
    from processing_time.messages.incident import findings_text, text

    title = f"{request.action}, {'dry run' if request.dry_run else 'in earnest'}"
    return text(title, [*plan.lines, *findings_text(plan.detail.get("findings", ()))])


# --- what Slack is told -------------------------------------------------------------------------------------


def _alert_id(context: Context, request: Request | None) -> int | None:
    """The alert of a request; of one that was refused too, if it names one."""
    if request:
        return request.alert_id
    asked = str(context["params"].get("alert_id") or "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None


def _is_news(request: Request | None, result: Result, answers: Sequence[Answer]) -> bool:
    """Whether the channel hears of it where no thread does: a dry run and a mistyped form are nobody else's business.

    Where somebody was asked, the channel knows of it already.
    """
    return (
        request is not None
        and not request.dry_run
        and (result.outcome is not Outcome.REFUSED or bool(answers))
    )


def _route(context: Context) -> str:
    return "info" if _action(context) == DIAGNOSE else "high"


def _message(
    context: Context,
    request: Request | None,
    prepared: Mapping[str, Any] | None,
    result: Result,
    approved: str | None,
) -> Message:
    from processing_time.messages.incident import diagnosis, told

    address = run.page(context)
    if request and prepared and request.action == DIAGNOSE and result.outcome is Outcome.DONE:
        return diagnosis(prepared["plan"]["detail"]["findings"], request, address)
    return told(_action(context), request, result, approved, address)


def _note(
    context: Context, settings: Settings, kind: str, message: Message, alert: AlertKey | None, route: str
) -> Notification:
    from processing_time.messages.blocks import render
    from processing_time.outbox import Notification, Place

    digest = hashlib.sha256(context["dag_run"].run_id.encode()).hexdigest()[:16]
    at = "" if kind.startswith("approval") else f"/{run.present():%Y%m%dT%H%M%SZ}"
    return Notification(
        kind=kind.partition("_")[0],
        dedupe_key=f"incident/{digest}/{kind}{at}",
        route=route,
        payload=render(message, settings),
        place=Place.THREAD if alert else Place.CHANNEL,
        alert=alert,
    )
