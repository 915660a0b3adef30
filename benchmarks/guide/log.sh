#!/bin/sh
# SPDX-License-Identifier: MIT
# The guide's text, to be run in the application's folder ($1). The sixth is its health check's, the seventh its second alert rule.
# shellcheck disable=SC2126  # grep | wc -l is what the guide writes
cd "$1" || exit 1

echo "Phase creation time:"
grep "AppointmentPhaseObserver: Phases created" storage/logs/laravel.log | \
    grep -oP '(?<=duration:)\d+' | \
    awk '{sum+=$1; n++} END {print "Average: " sum/n " ms"}'

echo "Cache Hits:"
grep "week_availability.*:pt_" storage/logs/laravel.log | grep "from cache" | wc -l

echo "Cache Misses (Cal.com API calls):"
grep "week_availability.*:pt_" storage/logs/laravel.log | grep "Cal.com API response" | wc -l

echo "Sync successes:"
grep "SyncAppointmentToCalcomJob.*Processing Time" storage/logs/laravel.log | \
    grep -c "success"

echo "Sync failures:"
grep "SyncAppointmentToCalcomJob.*Processing Time" storage/logs/laravel.log | \
    grep -c "failed\|error"

echo "Recent Errors:"
grep -c "AppointmentPhaseObserver: Failed" storage/logs/laravel.log 2>/dev/null || echo "0"

echo "Observer disabled:"
grep -c "processing_time_auto_create_phases.*false" storage/logs/laravel.log
