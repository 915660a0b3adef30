<?php
// SPDX-License-Identifier: MIT
//
// Answers questions about processing time from inside the application, and does there what an incident needs.
//
//     php -- /srv/app COMMAND [ARGUMENT…] <processing_time.php
//
// One line of the output starts with MARKER and holds the answer as JSON; {"error": "…"} with exit code 1 when there is
// none. Texts of exceptions are not passed on: they may hold a customer's data or a password.
//
//     features              what config('features') holds under processing_time_…
//     observer              whether the phase observer listens to created appointments
//     failed-syncs          ids of the failed jobs of the sync class, newest first
//     create-phases ID…     the application's own service makes the phases of appointments that have none
//     flags SWITCH          what set-flags would write into .env; SWITCH is disable or enable
//     set-flags SWITCH      writes it

const MARKER = 'processing-time: ';
const APPOINTMENT = 'App\Models\Appointment';
const OBSERVER = 'AppointmentPhaseObserver';
const PHASE_SERVICE = 'App\Services\AppointmentPhaseCreationService';
const SYNC_JOB = 'SyncAppointmentToCalcomJob';
const LISTED = 1000;
const NAMES = 20;
const ENABLED = 'FEATURE_PROCESSING_TIME_ENABLED';
const SERVICES = 'FEATURE_PROCESSING_TIME_SERVICE_WHITELIST';
const BACKUP = '.processing-time-before-disable';

/** What a person can mend, as one sentence. */
final class Refusal extends RuntimeException
{
}

function answer(array $arguments): array
{
    [$application, $command] = [$arguments[1] ?? '', $arguments[2] ?? ''];
    $rest = array_slice($arguments, 3);
    $app = application($application);
    if ($command === 'flags' || $command === 'set-flags') {
        return flags($app, $rest[0] ?? '', $command === 'set-flags');
    }
    $app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
    switch ($command) {
        case 'features':
            return features();
        case 'observer':
            return ['registered' => observer_registered($app)];
        case 'failed-syncs':
            return ['ids' => failed_syncs($app)];
        case 'create-phases':
            return ['outcomes' => (object) create_phases($app, $rest)];
    }
    throw new Refusal('this command does not exist');
}

function application(string $path)
{
    if (!is_file("$path/vendor/autoload.php") || !is_file("$path/bootstrap/app.php")) {
        throw new Refusal(
            "there is no Laravel application in $path that this user may read: set path in the extra of"
            . ' processing_time_laravel to the directory that holds artisan'
        );
    }
    chdir($path);
    require "$path/vendor/autoload.php";
    return require "$path/bootstrap/app.php";
}

// --- Questions ---------------------------------------------------------------------------------------------------------

function features(): array
{
    $found = array_filter(
        (array) config('features'),
        fn ($key) => strpos((string) $key, 'processing_time_') === 0,
        ARRAY_FILTER_USE_KEY
    );
    if (!$found) {
        throw new Refusal("config('features') of the application holds no processing_time_… key");
    }
    return $found;
}

function observer_registered($app): bool
{
    // A model registers its observers when it is first used.
    $model = APPOINTMENT;
    new $model();
    $name = 'eloquent.created: ' . APPOINTMENT;
    $events = $app['events'];
    if (!method_exists($events, 'getRawListeners')) {
        return $events->hasListeners($name);
    }
    foreach ($events->getRawListeners()[$name] ?? [] as $listener) {
        $class = is_array($listener) ? $listener[0] : $listener;
        $class = is_string($class) ? $class : get_class($class);
        if (strpos($class, OBSERVER) !== false) {
            return true;
        }
    }
    return false;
}

function failed_syncs($app): array
{
    $settings = $app['config']['queue.failed'];
    if (strncmp($settings['driver'] ?? 'database', 'database', 8) === 0) {
        // The rows hold payloads and stack traces: only those that may be meant are fetched.
        $key = ($settings['driver'] ?? '') === 'database-uuids' ? 'uuid' : 'id';
        $jobs = $app['db']->connection($settings['database'] ?? null)->table($settings['table'])
            ->where('payload', 'like', '%' . SYNC_JOB . '%')->orderByDesc('id')->limit(LISTED)->get([$key, 'payload']);
    } else {
        $key = 'id';
        $jobs = array_slice($app['queue.failer']->all(), 0, LISTED);
    }
    $ids = [];
    foreach ($jobs as $job) {
        $class = (string) (json_decode($job->payload, true)['displayName'] ?? '');
        if (substr('\\' . $class, -strlen('\\' . SYNC_JOB)) === '\\' . SYNC_JOB) {
            $ids[] = (string) $job->$key;
        }
    }
    return $ids;
}

// --- Phases ------------------------------------------------------------------------------------------------------------

function create_phases($app, array $ids): array
{
    $service = $app->make(PHASE_SERVICE);
    $outcomes = [];
    foreach ($ids as $id) {
        try {
            $outcomes[$id] = create_phases_of($service, $id);
        } catch (Throwable $error) {
            $outcomes[$id] = 'failed ' . get_class($error);
        }
    }
    return $outcomes;
}

function create_phases_of($service, string $id): string
{
    $model = APPOINTMENT;
    // The row is locked, so that two who do this at once do not both find no phases.
    return (new $model())->getConnection()->transaction(function () use ($model, $service, $id) {
        $appointment = $model::query()->lockForUpdate()->find($id);
        if ($appointment === null) {
            return 'missing';
        }
        if ($appointment->phases()->exists()) {
            return 'present';
        }
        $service->createPhasesForAppointment($appointment);
        return $appointment->phases()->exists() ? 'created' : 'none';
    });
}

// --- Flags in .env -----------------------------------------------------------------------------------------------------

function flags($app, string $switch, bool $write): array
{
    if (!in_array($switch, ['disable', 'enable'], true)) {
        throw new Refusal('a switch is disable or enable');
    }
    // A deployment may keep .env elsewhere and link to it.
    $file = realpath($app->environmentFilePath());
    $handle = $file === false ? false : @fopen($file, 'rb');
    if ($handle === false) {
        throw new Refusal("{$app->environmentFilePath()} cannot be read by this user: run artisan as its owner");
    }
    $content = stream_get_contents($handle);
    $known = parsed($content);
    $backup = $switch === 'enable' ? backup_of($file, $known) : [];
    $after = $switch === 'enable' ? enabled($known, $backup) : disabled($known);
    $before = array_map(fn ($key) => $known[$key] ?? null, array_combine(keys(), keys()));
    $changed = array_filter($after, fn ($value, $key) => $value !== $before[$key], ARRAY_FILTER_USE_BOTH);
    $edited = edited($content, $changed);
    if (parsed($edited) !== array_replace($known, $changed)) {
        throw new Refusal("the flags of $file cannot be changed without changing what else it says: edit it by hand");
    }
    if ($write && $changed) {
        lock($handle, $file, $content);
        if ($switch === 'disable') {
            replace($file . BACKUP, $content, $file);
        }
        replace($file, $edited, $file);
    }
    $then = array_replace($before, $changed);
    return [
        'before' => $before,
        'after' => $then,
        'toggle' => is_on($then[ENABLED]),
        'listed' => is_on($then[SERVICES]),
        'saved' => $backup ? gmdate('Y-m-d\TH:i:s\Z', (int) filemtime($file . BACKUP)) : null,
        'config_cached' => $app->configurationIsCached(),
        'also_changes' => $app->configurationIsCached() ? drift($app) : [],
    ];
}

/** The names of what config:cache would change besides the flags: .env was edited since, or variables are missing here. */
function drift($app): array
{
    $cached = Illuminate\Support\Arr::dot(require $app->getCachedConfigPath());
    // Read anew, as config:cache does, with the cached one out of sight.
    $_SERVER['APP_CONFIG_CACHE'] = $_ENV['APP_CONFIG_CACHE'] = '/nonexistent/config.php';
    $again = require $app->bootstrapPath('app.php');
    $again->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
    $fresh = Illuminate\Support\Arr::dot($again['config']->all());
    $differ = array_filter(
        array_keys($cached + $fresh),
        fn ($name) => strpos($name, 'features.processing_time_') !== 0
            && (array_key_exists($name, $cached) ? [$cached[$name]] : [])
                !== (array_key_exists($name, $fresh) ? [$fresh[$name]] : [])
    );
    sort($differ);
    $more = count($differ) - NAMES;
    return $more > 0 ? array_merge(array_slice($differ, 0, NAMES), ["and $more more"]) : $differ;
}

function keys(): array
{
    return [ENABLED, SERVICES];
}

/** With the master toggle off, a whitelisted service still has the feature: off is both. */
function disabled(array $known): array
{
    $off = isset($known[ENABLED]) && !is_on($known[ENABLED]);
    $none = !isset($known[SERVICES]) || !is_on($known[SERVICES]);
    return ($off ? [] : [ENABLED => 'false']) + ($none ? [] : [SERVICES => '']);
}

/** As it was before, or on when nothing is known of before. */
function enabled(array $known, array $backup): array
{
    if (!$backup) {
        return is_on($known[ENABLED] ?? null) ? [] : [ENABLED => 'true'];
    }
    return array_filter(array_intersect_key($backup, array_flip(keys())), 'is_string');
}

/** The flags in the backup, if they were on there and are still as a disabling left them. */
function backup_of(string $file, array $known): array
{
    if (disabled($known) !== [] || !is_readable($file . BACKUP)) {
        return [];
    }
    $backup = parsed((string) file_get_contents($file . BACKUP));
    return is_on($backup[ENABLED] ?? null) || is_on($backup[SERVICES] ?? null) ? $backup : [];
}

/** Whether Laravel takes a value for something: it knows these words, and PHP takes 0 for nothing. */
function is_on(?string $value): bool
{
    $nothing = ['', '0', 'false', '(false)', 'empty', '(empty)', 'null', '(null)'];
    return !in_array(strtolower($value ?? ''), $nothing, true);
}

/** By key the values that Laravel's own parser finds. */
function parsed(string $content): array
{
    try {
        // Laravel reads files, and a file may begin with a byte order mark.
        return Dotenv\Dotenv::parse(preg_replace('/\A\xEF\xBB\xBF/', '', $content));
    } catch (Throwable $error) {
        // Its text quotes the line.
        throw new Refusal("the application's .env is not valid for its own parser: mend it by hand");
    }
}

/** The file with values of keys set in every line that defines them, or in a new last line. */
function edited(string $content, array $values): string
{
    $parts = preg_split('/(\r\n|\n|\r)/', $content, -1, PREG_SPLIT_DELIM_CAPTURE);
    foreach ($values as $key => $value) {
        if (!preg_match('/\A[\w,. -]*\z/', $value)) {
            throw new Refusal("$key was set in a way that is not safe to write again: edit .env by hand");
        }
        $definition = '((?:\xEF\xBB\xBF)?\s*(?:export\s+)?' . $key . '\s*=[ \t]*?)';
        $found = false;
        for ($i = 0; $i < count($parts); $i += 2) {
            if (!preg_match("/\A$definition/", $parts[$i])) {
                continue;
            }
            $known = '("[^"\\\\$]*"|\'[^\']*\'|[^\s"\'#$\\\\]*)([ \t]*(?:#.*)?)';
            if (!preg_match("/\A$definition$known\z/s", $parts[$i], $match)) {
                $line = intdiv($i, 2) + 1;
                throw new Refusal("line $line of .env sets $key in a way that is not safe to change: edit it by hand");
            }
            $parts[$i] = $match[1] . quoted($value, $match[2]) . $match[3];
            $found = true;
        }
        if (!$found) {
            $end = $parts[1] ?? "\n";
            $last = count($parts) - 1;
            array_splice($parts, $last, 1, $parts[$last] === '' ? [] : [$parts[$last], $end]);
            array_push($parts, $key . '=' . quoted($value, ''), $end, '');
        }
    }
    return implode('', $parts);
}

/** A value between the quotes that the old one had, or between some when it needs them. */
function quoted(string $value, string $old): string
{
    $quote = in_array($old[0] ?? '', ['"', "'"], true) ? $old[0] : (strpos($value, ' ') === false ? '' : '"');
    return $quote . $value . $quote;
}

/** Nobody else does this to the file at the same time, and it still is what was read. */
function lock($handle, string $file, string $content): void
{
    $ours = flock($handle, LOCK_EX | LOCK_NB);
    clearstatcache();
    if (!$ours || fstat($handle)['ino'] !== fileinode($file) || file_get_contents($file) !== $content) {
        throw new Refusal("somebody else is changing $file: try again");
    }
}

/** Write a file so that a reader finds the old or the new one; owner and mode are those of another one. */
function replace(string $file, string $content, string $like): void
{
    $wanted = stat($like);
    umask(0077);
    $temporary = $file . '.' . bin2hex(random_bytes(6)) . '.tmp';
    try {
        $handle = @fopen($temporary, 'xb');
        $written = $handle !== false && fwrite($handle, $content) === strlen($content) && fflush($handle)
            && (!function_exists('fsync') || fsync($handle)) && fclose($handle);
        if (!$written) {
            throw new Refusal("nothing can be written beside $like: run artisan as a user who may, on a disk with room");
        }
        $made = stat($temporary);
        $kept = ($made['uid'] === $wanted['uid'] || @chown($temporary, $wanted['uid']))
            && ($made['gid'] === $wanted['gid'] || @chgrp($temporary, $wanted['gid']))
            && chmod($temporary, $wanted['mode'] & 07777);
        if (!$kept) {
            throw new Refusal("the owner of $like could not be kept: run artisan as its owner");
        }
        if (!@rename($temporary, $file)) {
            throw new Refusal("$file cannot be replaced: run artisan as a user who may");
        }
    } finally {
        if (is_file($temporary)) {
            unlink($temporary);
        }
    }
}

// -----------------------------------------------------------------------------------------------------------------------

function main(array $arguments): int
{
    // Faults are told in our own words; what PHP prints of them may quote anything.
    ini_set('display_errors', '0');
    try {
        $answer = answer($arguments);
        $code = 0;
    } catch (Refusal $refusal) {
        $answer = ['error' => $refusal->getMessage()];
        $code = 1;
    } catch (Throwable $error) {
        $answer = ['error' => get_class($error) . ' in ' . basename($error->getFile()) . ':' . $error->getLine()];
        $code = 1;
    }
    echo "\n", MARKER, json_encode($answer, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
    return $code;
}

// Whoever only wants the functions says so first.
if (!defined('PROCESSING_TIME_FUNCTIONS')) {
    exit(main($argv));
}
