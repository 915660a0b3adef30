<?php
// SPDX-License-Identifier: MIT
namespace App\Providers;

use App\Models\Appointment;
use App\Observers\AppointmentPhaseObserver;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        if (env('STAND_IN_OBSERVER', true)) {
            Appointment::observe(AppointmentPhaseObserver::class);
        }
    }
}
