<?php
// SPDX-License-Identifier: MIT
return [
    'default' => 'file',
    'stores' => ['file' => ['driver' => 'file', 'path' => storage_path('framework/cache/data')]],
    'prefix' => 'booking_cache',
];
