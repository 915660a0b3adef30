# SPDX-License-Identifier: MIT
"""What the monitor costs at production scale, measured beside what one would use instead."""
