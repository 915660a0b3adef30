# SPDX-License-Identifier: MIT
"""The only code that reads the monitored application: its database, log, cache and feature flags."""
