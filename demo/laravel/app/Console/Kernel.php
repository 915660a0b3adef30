<?php
// SPDX-License-Identifier: MIT
namespace App\Console;

class Kernel extends \Illuminate\Foundation\Console\Kernel
{
}
