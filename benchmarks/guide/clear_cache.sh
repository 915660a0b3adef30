#!/bin/sh
# SPDX-License-Identifier: MIT
# The guide's text, with the server ($1) and the pattern ($2) as arguments: as it stands it finds no key with a prefix of Laravel's.
redis-cli -p "$1" --scan --pattern "$2" | xargs redis-cli -p "$1" DEL
