# SPDX-License-Identifier: MIT
"""The actions that go through the application, on a real Laravel with a real database."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from demo.services import MariaDB
from processing_time.incident.action import Outcome, Plan, Refused, Request
from processing_time.incident.application_cache import ClearApplicationCache
from processing_time.incident.artisan import Artisan, CommandFailed
from processing_time.incident.feature import MOUNTED_ALONE, DisableFeature, EnableFeature
from processing_time.incident.missing_phases import CreateMissingPhases
from processing_time.incident.sync_jobs import RetryFailedSyncs
from tests.integration.laravel import SECRET, Laravel, needs_laravel

pytestmark = needs_laravel

AS_OF = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALL = ["initial", "processing", "final"]


@pytest.fixture
def laravel(mariadb: MariaDB, tmp_path: Path) -> Laravel:
    return Laravel(mariadb, tmp_path / "app")


def request_for(action: str, **given: Any) -> Request:
    return Request(action, dry_run=False, as_of=AS_OF, **given)


def through_json(plan: Plan) -> Plan:
    """As it comes out of XCom."""
    return Plan.from_json(plan.to_json())


class Vanishing:
    """Artisan on a machine that nobody can connect to any more once a command was run there."""

    def __init__(self, artisan: Artisan, last: str) -> None:
        self._artisan, self._last, self._gone = artisan, last, False

    def __getattr__(self, command: str) -> Any:
        def run(*given: Any) -> Any:
            if self._gone:
                raise Refused("the connection processing_time_laravel does not work (TimeoutError)")
            self._gone = command == self._last
            return getattr(self._artisan, command)(*given)

        return run


# --- Questions ----------------------------------------------------------------------------------------------------------


def test_what_the_application_reads_and_nothing_else_of_its_configuration(laravel: Laravel) -> None:
    assert laravel.artisan().features() == {
        "processing_time_enabled": True,
        "processing_time_service_whitelist": ["2", "3"],
        "processing_time_company_whitelist": [],
        "processing_time_show_ui": True,
        "processing_time_calcom_sync_enabled": True,
        "processing_time_auto_create_phases": True,
    }


@pytest.mark.parametrize("registered", [True, False])
def test_whether_the_observer_is_registered(laravel: Laravel, registered: bool) -> None:
    with laravel.environment.open("a") as file:
        file.write(f"STAND_IN_OBSERVER={str(registered).lower()}\n")
    assert laravel.artisan().observer_registered() is registered


def test_the_environment_of_airflow_does_not_reach_the_application(
    laravel: Laravel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURE_PROCESSING_TIME_ENABLED", "false")
    assert laravel.artisan().features()["processing_time_enabled"] is True


def test_a_directory_without_an_application_is_named(laravel: Laravel) -> None:
    (laravel.directory / "vendor" / "autoload.php").unlink()
    with pytest.raises(CommandFailed, match=r"there is no Laravel application in /.*: set path in the extra"):
        laravel.artisan().features()


def test_an_exception_of_the_application_is_told_without_its_text(laravel: Laravel) -> None:
    provider = laravel.directory / "app" / "Providers" / "AppServiceProvider.php"
    provider.write_text(
        provider.read_text().replace("if (env", "throw new \\DomainException('Erika 0171'); if (env")
    )
    with pytest.raises(CommandFailed) as failed:
        laravel.artisan().features()
    assert (
        str(failed.value) == "the application refuses features: DomainException in AppServiceProvider.php:13"
    )


# --- Failed syncs -------------------------------------------------------------------------------------------------------


def test_failed_syncs_are_retried_and_no_other_job(laravel: Laravel) -> None:
    first, second, other = (laravel.failed_sync(n) for n in (1, 2, 3))
    # A job of another class that mentions the sync job in what it holds.
    laravel.sql(
        "UPDATE failed_jobs SET payload = JSON_SET(payload, '$.displayName', 'App\\\\\\\\Jobs\\\\\\\\TellAbout',"
        f" '$.tags', 'SyncAppointmentToCalcomJob') WHERE uuid = '{other}'"
    )
    action, request, hands = RetryFailedSyncs(), request_for("retry_failed_syncs"), laravel.hands()
    plan = action.plan(request, hands)
    assert (plan.counts, plan.detail, plan.needs_approval) == ({"jobs": 2}, {"jobs": [second, first]}, True)

    result = action.act(request, hands, through_json(plan))

    assert result.outcome is Outcome.DONE
    assert [row for (row,) in laravel.sql("SELECT uuid FROM failed_jobs")] == [other]
    assert sorted(row for (row,) in laravel.sql("SELECT JSON_VALUE(payload, '$.uuid') FROM jobs")) == sorted(
        [first, second]
    )
    assert result.detail["runs"][0]["exit_code"] == 0
    assert first in result.detail["runs"][0]["output"]
    assert action.act(request, hands, through_json(plan)).outcome is Outcome.NOTHING_TO_DO
    assert action.plan(request, hands).empty


def test_failed_syncs_have_numbers_where_there_are_no_uuids(laravel: Laravel) -> None:
    laravel.failed_sync(1)
    with laravel.environment.open("a") as file:
        file.write("QUEUE_FAILED_DRIVER=database\n")
    (number,) = laravel.artisan().failed_sync_jobs()
    laravel.artisan().retry([number])
    assert laravel.sql("SELECT COUNT(*) FROM failed_jobs") == [(0,)]


def test_jobs_that_were_handed_back_before_the_machine_was_gone_are_told(laravel: Laravel) -> None:
    laravel.failed_sync(1)
    action, request = RetryFailedSyncs(), request_for("retry_failed_syncs")
    plan = action.plan(request, laravel.hands())
    result = action.act(request, laravel.hands(Vanishing(laravel.artisan(), "retry")), plan)
    assert laravel.sql("SELECT COUNT(*) FROM jobs") == [(1,)]
    assert result.outcome is Outcome.PARTLY
    assert result.lines[0].startswith(
        "How much of 1 failed job was handed back to the queue cannot be told: the c"
    )
    assert result.detail["retried"] == plan.detail["jobs"]


def test_a_job_that_cannot_be_handed_back_is_told(laravel: Laravel) -> None:
    laravel.failed_sync(1)
    action, request, hands = RetryFailedSyncs(), request_for("retry_failed_syncs"), laravel.hands()
    plan = action.plan(request, hands)
    laravel.sql("RENAME TABLE jobs TO jobs_elsewhere")
    result = action.act(request, hands, plan)
    assert result.outcome is Outcome.FAILED
    assert "queue:retry did not work (exit code 1)" in result.lines[0]
    (ran,) = result.detail["runs"]
    assert "SQLSTATE" in ran["output"]
    assert "payload" not in ran["output"]


# --- Missing phases -----------------------------------------------------------------------------------------------------


@pytest.fixture
def salon(laravel: Laravel) -> Laravel:
    """Orphans 1 to 3 of service 1 and 4 of service 2, and what is none."""
    laravel.sql("INSERT INTO companies (id, name) VALUES (7, 'Other')")
    laravel.service(1)
    laravel.service(2, company=7)
    for id_ in (1, 2, 3):
        laravel.appointment(id_, 1, AS_OF - timedelta(hours=id_))
    laravel.appointment(4, 2, AS_OF - timedelta(hours=4))
    laravel.appointment(5, 1, AS_OF - timedelta(hours=5), deleted=True)
    laravel.appointment(6, 1, AS_OF - timedelta(days=5))
    laravel.appointment(7, 1, AS_OF - timedelta(seconds=30))
    return laravel


def test_phases_of_all_orphans_are_made_by_the_application(salon: Laravel) -> None:
    action, request, hands = CreateMissingPhases(), request_for("create_missing_phases"), salon.hands()
    plan = action.plan(request, hands)
    assert plan.detail == {"appointments": ["4", "3", "2", "1"]}
    assert salon.phases() == {}

    result = action.act(request, hands, through_json(plan))

    assert result.outcome is Outcome.DONE
    assert salon.phases() == {1: ALL, 2: ALL, 3: ALL, 4: ALL}
    assert result.detail["outcomes"] == dict.fromkeys("4321", "created")
    assert action.act(request, hands, through_json(plan)).outcome is Outcome.NOTHING_TO_DO
    assert action.plan(request, hands).empty


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"appointment_ids": ("6", "5", "99", "1")}, ["6", "1"]),
        ({"company_id": 7}, ["4"]),
        ({"service_id": "1"}, ["3", "2", "1"]),
        ({"service_id": "1", "appointment_ids": ("4", "2")}, ["2"]),
        # What a column of numbers takes for 2:
        ({"appointment_ids": ("00000002-0000-4000-8000-000000000000",)}, []),
    ],
)
def test_only_orphans_that_were_named(salon: Laravel, given: dict[str, Any], found: list[str]) -> None:
    plan = CreateMissingPhases().plan(request_for("create_missing_phases", **given), salon.hands())
    assert (plan.detail["appointments"], plan.empty) == (found, not found)


def test_no_more_than_the_settings_allow(salon: Laravel) -> None:
    hands = salon.hands()
    incident = hands.settings.incident.model_copy(update={"max_appointments": 2})
    few = replace(hands, settings=hands.settings.model_copy(update={"incident": incident}))
    plan = CreateMissingPhases().plan(request_for("create_missing_phases"), few)
    assert plan.detail == {"appointments": ["4", "3"]}
    assert "older ones wait" in plan.lines[1]


def test_phases_that_were_made_meanwhile_are_left_alone(salon: Laravel) -> None:
    assert salon.artisan().create_phases(["1", "1", "999"]) == {"1": "created", "999": "missing"}
    assert salon.artisan().create_phases(["1"]) == {"1": "present"}
    assert salon.phases() == {1: ALL}


def test_an_appointment_that_fails_in_the_application_costs_itself_only(salon: Laravel) -> None:
    service = salon.directory / "app" / "Services" / "AppointmentPhaseCreationService.php"
    service.write_text(
        service.read_text().replace(
            "        $phases = [];",
            "        $appointment->phases()->create(['phase_type' => 'final', 'start_offset_minutes' => 0,"
            " 'duration_minutes' => 1]);\n"
            "        if ($appointment->id === 2) { throw new \\LengthException('Erika'); }\n"
            "        $appointment->phases()->delete();\n        $phases = [];",
        )
    )
    action, request, hands = CreateMissingPhases(), request_for("create_missing_phases"), salon.hands()
    result = action.act(request, hands, action.plan(request, hands))
    assert result.outcome is Outcome.PARTLY
    assert salon.phases() == {1: ALL, 3: ALL, 4: ALL}
    assert result.detail["outcomes"]["2"] == "failed LengthException"
    assert result.detail["still_without_phases"] == ["2"]


def test_what_broke_off_is_counted_by_the_database(salon: Laravel, monkeypatch: pytest.MonkeyPatch) -> None:
    from processing_time.incident import missing_phases

    monkeypatch.setattr(missing_phases, "CHUNK", 2)
    service = salon.directory / "app" / "Services" / "AppointmentPhaseCreationService.php"
    service.write_text(
        service.read_text().replace(
            "        $phases = [];", "if ($appointment->id === 1) { exit(9); }\n$phases = [];"
        )
    )
    action, request, hands = CreateMissingPhases(), request_for("create_missing_phases"), salon.hands()
    result = action.act(request, hands, action.plan(request, hands))
    assert result.outcome is Outcome.PARTLY
    assert "(exit code 9)" in result.lines[0]
    assert result.detail["outcomes"] == {"4": "created", "3": "created"}
    assert result.detail["still_without_phases"] == ["1"], "2 was made by the command that broke off"
    assert salon.phases() == {2: ALL, 3: ALL, 4: ALL}


def test_a_machine_that_is_gone_between_two_commands_is_no_refusal(
    salon: Laravel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from processing_time.incident import missing_phases

    monkeypatch.setattr(missing_phases, "CHUNK", 2)
    action, request = CreateMissingPhases(), request_for("create_missing_phases")
    plan = action.plan(request, salon.hands())
    result = action.act(request, salon.hands(Vanishing(salon.artisan(), "create_phases")), plan)
    assert result.outcome is Outcome.PARTLY
    assert "processing_time_laravel does not work" in result.lines[0]
    assert result.detail["still_without_phases"] == ["2", "1"]
    assert salon.phases() == {3: ALL, 4: ALL}


def test_a_database_that_is_gone_afterwards_does_not_hide_what_was_made(salon: Laravel) -> None:
    action, request, hands = CreateMissingPhases(), request_for("create_missing_phases"), salon.hands()
    plan, asked = action.plan(request, hands), []

    def once() -> Any:
        asked.append(1)
        if len(asked) > 1:
            raise MySQLdb.OperationalError(2003, "Can't connect to server")
        return salon.connect()

    result = action.act(request, replace(hands, application=once), plan)
    assert result.outcome is Outcome.PARTLY
    assert result.lines[0] == "4 appointments have their phases now."
    assert "cannot be told" in result.lines[-1]
    assert result.detail["outcomes"] == dict.fromkeys("4321", "created")
    assert salon.phases() == {1: ALL, 2: ALL, 3: ALL, 4: ALL}


# --- Cache --------------------------------------------------------------------------------------------------------------


def test_the_cache_store_is_emptied(laravel: Laravel) -> None:
    cached = laravel.directory / "storage" / "framework" / "cache" / "data" / "ab"
    cached.mkdir()
    action, request, hands = ClearApplicationCache(), request_for("clear_application_cache"), laravel.hands()
    plan = action.plan(request, hands)
    assert cached.is_dir()
    assert "WHOLE cache store" in plan.lines[0]
    result = action.act(request, hands, plan)
    assert not cached.exists()
    assert result.detail["runs"] == [
        {"command": "cache:clear", "exit_code": 0, "output": "Application cache cleared!"}
    ]


def test_a_cache_that_cannot_be_emptied_is_no_success(laravel: Laravel) -> None:
    # This version of Laravel says so, and ends with 0.
    (laravel.directory / "storage" / "framework" / "cache" / "data").rename(laravel.directory / "gone")
    with pytest.raises(CommandFailed, match="cache:clear did not work") as failed:
        laravel.artisan().clear_cache()
    assert failed.value.ran.exit_code == 0


# --- The switch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_disabling_is_for_everybody_and_enabling_goes_back(laravel: Laravel, cached: bool) -> None:
    if cached:
        laravel.php("artisan", "config:cache")
    hands, before = laravel.hands(), laravel.environment.read_bytes()
    disable, enable = DisableFeature(), EnableFeature()
    plan = disable.plan(request_for("disable_feature"), hands)
    assert laravel.environment.read_bytes() == before
    assert plan.lines[1:3] == (
        "FEATURE_PROCESSING_TIME_ENABLED: true → false",
        "FEATURE_PROCESSING_TIME_SERVICE_WHITELIST: 2,3 → empty",
    )

    result = disable.act(request_for("disable_feature"), hands, through_json(plan))

    assert result.outcome is Outcome.DONE
    assert laravel.environment.read_bytes() == before.replace(b"ENABLED=true", b"ENABLED=false").replace(
        b'"2,3"', b'""'
    )
    reads = laravel.artisan().features()
    assert (reads["processing_time_enabled"], reads["processing_time_service_whitelist"]) == (False, [])
    assert [ran["command"] for ran in result.detail["runs"]] == ["config:cache"] * cached
    assert (laravel.directory / "bootstrap" / "cache" / "config.php").exists() is cached
    # Again after a crash, and by somebody else:
    assert disable.act(request_for("disable_feature"), hands, through_json(plan)).outcome is Outcome.DONE
    assert disable.plan(request_for("disable_feature"), hands).empty

    plan = enable.plan(request_for("enable_feature"), hands)
    assert "from before it was disabled" in " ".join(plan.lines)
    assert enable.act(request_for("enable_feature"), hands, through_json(plan)).outcome is Outcome.DONE
    assert laravel.environment.read_bytes() == before
    assert laravel.artisan().features()["processing_time_service_whitelist"] == ["2", "3"]


def test_a_copy_of_the_file_that_the_monitor_reads_and_that_does_not_follow_is_told(
    laravel: Laravel, tmp_path: Path
) -> None:
    # As a file that is mounted alone: it stays what it was.
    copy = tmp_path / "mounted"
    copy.write_bytes(laravel.environment.read_bytes())
    hands = laravel.hands()
    application = hands.settings.application.model_copy(update={"env_file": copy})
    hands = replace(hands, settings=hands.settings.model_copy(update={"application": application}))
    plan = DisableFeature().plan(request_for("disable_feature"), hands)
    result = DisableFeature().act(request_for("disable_feature"), hands, plan)
    assert result.outcome is Outcome.DONE
    assert MOUNTED_ALONE in result.lines


@pytest.mark.parametrize(("companies", "whom"), [("", "ALL companies"), ("1,5", "the companies 1, 5")])
def test_enabling_says_for_whom(laravel: Laravel, companies: str, whom: str) -> None:
    laravel.environment.write_text(f"FEATURE_PROCESSING_TIME_COMPANY_WHITELIST={companies}\n")
    plan = EnableFeature().plan(request_for("enable_feature"), laravel.hands())
    assert f"With that it is on for {whom}." in plan.lines
    assert "FEATURE_PROCESSING_TIME_ENABLED: not set → true" in plan.lines


def test_a_configuration_that_was_cached_before_the_file_changed_is_rebuilt(laravel: Laravel) -> None:
    laravel.php("artisan", "config:cache")
    laravel.environment.write_text(
        laravel.environment.read_text().replace("ENABLED=true", "ENABLED=false").replace('"2,3"', "")
    )
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    plan = action.plan(request, hands)
    assert not plan.empty
    assert action.act(request, hands, plan).outcome is Outcome.DONE
    assert laravel.artisan().features()["processing_time_enabled"] is False


def test_a_rebuild_that_would_change_more_is_told_and_has_to_stay_what_was_approved(laravel: Laravel) -> None:
    # The configuration was cached with a variable that this user does not have.
    laravel.php("artisan", "config:cache", APP_NAME="Salon", APP_TIMEZONE="Europe/Berlin")
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    plan = action.plan(request, hands)
    (careful,) = [line for line in plan.lines if line.startswith("CAREFUL")]
    assert careful.endswith("may change: app.name, app.timezone.")
    assert "Salon" not in repr(plan)
    assert action.act(request, hands, plan).outcome is Outcome.DONE
    assert action.act(request, hands, plan).outcome is Outcome.DONE, "again after a crash"

    plan = EnableFeature().plan(request_for("enable_feature"), hands)
    assert not any(line.startswith("CAREFUL") for line in plan.lines)
    laravel.php("artisan", "config:cache", APP_NAME="Salon")
    before = laravel.environment.read_bytes()
    with pytest.raises(Refused, match="would change more than was approved"):
        EnableFeature().act(request_for("enable_feature"), hands, plan)
    assert laravel.environment.read_bytes() == before


def test_more_changes_than_are_named_are_counted_and_have_to_stay_as_many(laravel: Laravel) -> None:
    def cache_with(keys: int) -> None:
        found = ", ".join(f"'k{n:02}' => env('MANY', 'a')" for n in range(keys))
        (laravel.directory / "config" / "many.php").write_text(f"<?php return [{found}];")
        laravel.php("artisan", "config:cache", MANY="b")

    cache_with(22)
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    plan = action.plan(request, hands)
    (careful,) = [line for line in plan.lines if line.startswith("CAREFUL")]
    assert careful.endswith("many.k18, many.k19, and 2 more.")
    cache_with(23)
    before = laravel.environment.read_bytes()
    with pytest.raises(Refused, match="would change more than was approved"):
        action.act(request, hands, plan)
    assert laravel.environment.read_bytes() == before


def test_a_configuration_that_cannot_be_rebuilt_is_no_success(laravel: Laravel) -> None:
    laravel.php("artisan", "config:cache")
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    plan = action.plan(request, hands)
    (laravel.directory / "config" / "view.php").write_text(
        "<?php return ['x' => env('APP_KEY') ? null : fn () => 1];"
    )
    laravel.environment.write_text(laravel.environment.read_text().replace("APP_KEY", "NO_KEY"))

    class Late:
        """The configuration is broken after it was looked at."""

        def __getattr__(self, name: str) -> Any:
            return getattr(laravel.artisan(), name)

        def flags(self, switch: Any) -> Any:
            return replace(laravel.artisan().flags(switch), also_changes=[])

    result = action.act(request, laravel.hands(Late()), plan)
    assert result.outcome is Outcome.PARTLY
    assert "config:cache did not work" in result.lines[0]
    assert result.detail["runs"][0]["exit_code"] == 1
    assert "ENABLED=false" in laravel.environment.read_text()


@pytest.mark.parametrize("cached", [False, True])
def test_a_machine_that_is_gone_after_the_flags_were_set_is_no_refusal(
    laravel: Laravel, cached: bool
) -> None:
    if cached:
        laravel.php("artisan", "config:cache")
    action, request = DisableFeature(), request_for("disable_feature")
    plan = action.plan(request, laravel.hands())
    result = action.act(request, laravel.hands(Vanishing(laravel.artisan(), "set_flags")), plan)
    assert "FEATURE_PROCESSING_TIME_ENABLED=false" in laravel.environment.read_text()
    assert result.outcome is Outcome.PARTLY
    assert result.lines[0].startswith("The flags are set in .env, but the application may not follow")
    assert "processing_time_laravel does not work" in result.lines[0]
    assert action.act(request, laravel.hands(), through_json(plan)).outcome is Outcome.DONE


def test_an_application_that_does_not_follow_is_told(laravel: Laravel) -> None:
    features = laravel.directory / "config" / "features.php"
    features.write_text(features.read_text().replace("env('FEATURE_PROCESSING_TIME_ENABLED', false)", "true"))
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    result = action.act(request, hands, action.plan(request, hands))
    assert result.outcome is Outcome.FAILED
    assert "does not follow" in result.lines[0]


def test_flags_that_are_not_those_approved_are_left_alone(laravel: Laravel) -> None:
    action, request, hands = DisableFeature(), request_for("disable_feature"), laravel.hands()
    plan = action.plan(request, hands)
    laravel.environment.write_text(laravel.environment.read_text().replace('"2,3"', '"2,3,4"'))
    before = laravel.environment.read_bytes()
    with pytest.raises(Refused, match="not those that were approved"):
        action.act(request, hands, plan)
    assert laravel.environment.read_bytes() == before


def test_the_file_keeps_owner_mode_and_place_and_has_a_backup(laravel: Laravel, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    real = laravel.environment.rename(shared / "env-of-all-releases")
    laravel.environment.symlink_to(real)
    if os.geteuid() == 0:
        os.chown(real, 1234, 5678)
    before, status = real.read_bytes(), real.stat()
    laravel.artisan().set_flags("disable")
    assert laravel.environment.is_symlink()
    backup = shared / "env-of-all-releases.processing-time-before-disable"
    assert sorted(shared.iterdir()) == [real, backup]
    assert backup.read_bytes() == before != real.read_bytes()
    for file in (real, backup):
        now = file.stat()
        assert (now.st_uid, now.st_gid, now.st_mode) == (status.st_uid, status.st_gid, status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert real.stat().st_ino != status.st_ino, "replaced, not written over"


def test_a_disabling_that_changes_nothing_leaves_the_backup(laravel: Laravel) -> None:
    artisan = laravel.artisan()
    artisan.set_flags("disable")
    artisan.set_flags("disable")
    assert artisan.flags("enable").after["FEATURE_PROCESSING_TIME_SERVICE_WHITELIST"] == "2,3"


@pytest.mark.parametrize(
    "file",
    [
        # The definition is a part of another key's value, where changing it would change that one.
        'TEXT="one\nFEATURE_PROCESSING_TIME_ENABLED=true\ntwo"\n',
        # Another key's value follows it.
        "FEATURE_PROCESSING_TIME_ENABLED=true\nMY_FLAG=${FEATURE_PROCESSING_TIME_ENABLED}\n",
        # What is appended would be swallowed.
        'FEATURE_PROCESSING_TIME_SERVICE_WHITELIST=1\nTEXT="never closed\n',
    ],
)
def test_a_file_of_which_more_would_change_is_left_to_people(laravel: Laravel, file: str) -> None:
    laravel.environment.write_text(file)
    with pytest.raises(CommandFailed, match="without changing what else it says: edit it by hand"):
        laravel.artisan().set_flags("disable")
    assert laravel.environment.read_text() == file


def test_without_a_backup_enabling_is_the_toggle_alone(laravel: Laravel) -> None:
    laravel.environment.write_text("DB_DATABASE=x\nFEATURE_PROCESSING_TIME_SERVICE_WHITELIST=9\n")
    file = laravel.artisan().set_flags("enable")
    assert file.saved is None
    assert laravel.environment.read_text() == (
        "DB_DATABASE=x\nFEATURE_PROCESSING_TIME_SERVICE_WHITELIST=9\nFEATURE_PROCESSING_TIME_ENABLED=true\n"
    )


def test_a_list_that_somebody_wrote_since_outranks_the_backup(laravel: Laravel) -> None:
    artisan = laravel.artisan()
    artisan.set_flags("disable")
    laravel.environment.write_text(laravel.environment.read_text().replace('WHITELIST=""', "WHITELIST=8"))
    file = artisan.flags("enable")
    assert (file.saved, file.after["FEATURE_PROCESSING_TIME_SERVICE_WHITELIST"]) == (None, "8")


def test_somebody_else_who_changes_the_file_is_noticed(laravel: Laravel) -> None:
    import fcntl

    with laravel.environment.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CommandFailed, match="somebody else is changing"):
            laravel.artisan().set_flags("disable")


def test_a_directory_that_cannot_be_written_to_leaves_the_file(laravel: Laravel, tmp_path: Path) -> None:
    # Also for root: no directory takes a name that is longer than names may be.
    long = tmp_path / ("e" * 230)
    laravel.environment.rename(long)
    laravel.environment.symlink_to(long)
    before = long.read_bytes()
    with pytest.raises(CommandFailed, match="nothing can be written beside"):
        laravel.artisan().set_flags("disable")
    assert long.read_bytes() == before


def test_no_secret_of_the_file_leaves_the_machine(laravel: Laravel) -> None:
    hands = laravel.hands()
    plan = DisableFeature().plan(request_for("disable_feature"), hands)
    result = DisableFeature().act(request_for("disable_feature"), hands, plan)
    told = [repr(plan), repr(result)]
    with laravel.environment.open("a") as file:
        file.write(f"BROKEN={SECRET}\n")
    with pytest.raises(CommandFailed) as failed:
        laravel.artisan().flags("enable")
    told += [str(failed.value), repr(failed.value.ran)]
    assert "not valid for its own parser" in told[2]
    assert not any(secret in text for text in told for secret in (SECRET, "MAIL_PASSWORD", "c3RhbmQ"))
