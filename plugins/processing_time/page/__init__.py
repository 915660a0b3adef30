# SPDX-License-Identifier: MIT
"""The status page: rows of the store → plain data → HTML. Only ``application`` knows HTTP, nothing here knows Airflow."""
