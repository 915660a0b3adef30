# SPDX-License-Identifier: MIT
"""What people read: decisions and checks as Block Kit and as plain text."""
