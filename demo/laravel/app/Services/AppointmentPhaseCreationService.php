<?php
// SPDX-License-Identifier: MIT
namespace App\Services;

use App\Models\Appointment;

class AppointmentPhaseCreationService
{
    /** One phase for each duration above 0, one after the other; an appointment without a time has none. */
    public function createPhasesForAppointment(Appointment $appointment): array
    {
        if (!$appointment->service || !$appointment->service->hasProcessingTime() || !$appointment->starts_at) {
            return [];
        }
        $phases = [];
        $start = $appointment->starts_at->copy();
        foreach (['initial', 'processing', 'final'] as $type) {
            $minutes = (int) $appointment->service->{$type . '_duration'};
            if ($minutes > 0) {
                $end = $start->copy()->addMinutes($minutes);
                $phases[] = $appointment->phases()->create([
                    'phase_type' => $type,
                    'start_offset_minutes' => $appointment->starts_at->diffInMinutes($start),
                    'duration_minutes' => $minutes,
                    'staff_required' => $type !== 'processing',
                    'start_time' => $start,
                    'end_time' => $end,
                ]);
                $start = $end;
            }
        }
        return $phases;
    }
}
