# SPDX-License-Identifier: MIT
"""The Airflow faces of the library: hooks, tasks, operators. The only code here that imports Airflow."""
