<?php
// SPDX-License-Identifier: MIT
namespace App\Observers;

use App\Models\Appointment;
use App\Services\AppointmentPhaseCreationService;

class AppointmentPhaseObserver
{
    public function created(Appointment $appointment): void
    {
        if (config('features.processing_time_auto_create_phases')) {
            app(AppointmentPhaseCreationService::class)->createPhasesForAppointment($appointment);
        }
    }
}
