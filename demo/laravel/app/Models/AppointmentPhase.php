<?php
// SPDX-License-Identifier: MIT
namespace App\Models;

use Illuminate\Database\Eloquent\Model;

class AppointmentPhase extends Model
{
    protected $guarded = [];
}
