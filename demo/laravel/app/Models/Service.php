<?php
// SPDX-License-Identifier: MIT
namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\SoftDeletes;

class Service extends Model
{
    use SoftDeletes;

    public function hasProcessingTime(): bool
    {
        if (!$this->has_processing_time) {
            return false;
        }
        if (!config('features.processing_time_enabled')) {
            return in_array((string) $this->id, config('features.processing_time_service_whitelist'), true);
        }
        $companies = config('features.processing_time_company_whitelist');
        return !$companies || in_array($this->company_id, $companies, true);
    }
}
