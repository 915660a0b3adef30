<?php
// SPDX-License-Identifier: MIT
namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;

class SyncAppointmentToCalcomJob implements ShouldQueue
{
    use InteractsWithQueue;
    use Queueable;

    public function __construct(public int $appointmentId)
    {
    }

    public function handle(): void
    {
        throw new \RuntimeException('Cal.com did not answer');
    }
}
