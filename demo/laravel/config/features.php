<?php
// SPDX-License-Identifier: MIT
$list = fn (string $key): array => array_values(array_filter(array_map('trim', explode(',', (string) env($key, '')))));
return [
    'processing_time_enabled' => env('FEATURE_PROCESSING_TIME_ENABLED', false),
    'processing_time_service_whitelist' => $list('FEATURE_PROCESSING_TIME_SERVICE_WHITELIST'),
    'processing_time_company_whitelist' => array_map('intval', $list('FEATURE_PROCESSING_TIME_COMPANY_WHITELIST')),
    'processing_time_show_ui' => env('FEATURE_PROCESSING_TIME_SHOW_UI', true),
    'processing_time_calcom_sync_enabled' => env('FEATURE_PROCESSING_TIME_CALCOM_SYNC', true),
    'processing_time_auto_create_phases' => env('FEATURE_PROCESSING_TIME_AUTO_PHASES', true),
    'something_else' => 'not for the monitor',
];
