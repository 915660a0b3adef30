-- What the messages of a report have besides: the message in whose thread they go, and a file.

CREATE TABLE IF NOT EXISTS notification_files (
    dedupe_key VARCHAR(190) NOT NULL PRIMARY KEY COMMENT 'of the notification',
    thread_key VARCHAR(190) NULL COMMENT 'dedupe_key of the message in whose thread it goes',
    name VARCHAR(120) NULL COMMENT 'of the file; NULL when there is none',
    title VARCHAR(250) NULL,
    alt VARCHAR(1000) NULL COMMENT 'what a picture shows, in words',
    content MEDIUMBLOB NULL,
    slack_file VARCHAR(40) NULL COMMENT 'id that Slack gave the file; nobody sees it until it is shared',
    CONSTRAINT file_of_notification FOREIGN KEY (dedupe_key)
    REFERENCES notifications (dedupe_key) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
