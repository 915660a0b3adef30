# SPDX-License-Identifier: MIT
"""The weekly and monthly reports: what is counted, what it says, and how it looks as a page."""
