# SPDX-License-Identifier: MIT
"""A DAG of one empty task: the least that a DAG file can cost."""

from __future__ import annotations

from airflow.sdk import DAG, BaseOperator

with DAG(dag_id="empty", schedule=None):
    BaseOperator(task_id="nothing")
