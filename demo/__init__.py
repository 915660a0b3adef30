# SPDX-License-Identifier: MIT
"""A stand-in world for the monitor: a booking application, its database, cache and log, and a Slack workspace.

`make demo` and the integration tests run against it. Nothing in here is needed in production.
"""
