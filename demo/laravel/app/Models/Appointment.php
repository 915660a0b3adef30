<?php
// SPDX-License-Identifier: MIT
namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\SoftDeletes;

class Appointment extends Model
{
    use SoftDeletes;

    protected $dates = ['starts_at', 'ends_at'];

    public function service()
    {
        return $this->belongsTo(Service::class);
    }

    public function phases()
    {
        return $this->hasMany(AppointmentPhase::class);
    }
}
