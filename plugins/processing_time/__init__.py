# SPDX-License-Identifier: MIT
"""Monitoring of the Processing Time feature of a salon-booking application."""

__version__ = "0.1.0"
