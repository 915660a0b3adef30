#!/bin/sh
# SPDX-License-Identifier: MIT
# The guide's fourth alert rule, as an expression: its bar has "error" match in every line that there is.
cd "$1" || exit 1
grep -cE "SyncAppointmentToCalcomJob.*failed|error" storage/logs/laravel.log
