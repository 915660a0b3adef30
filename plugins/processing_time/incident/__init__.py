# SPDX-License-Identifier: MIT
"""Diagnoses and repairs, started by people through the incident DAG, or by level 1 where that is switched on."""
