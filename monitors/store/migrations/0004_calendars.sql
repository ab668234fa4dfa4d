-- Feeds that do not come every day: hours in which their calendar is closed count for no age.

alter table monitoring.feeds
    add column calendar text,
    add column timezone text not null default 'UTC',
    add column closed_weekdays integer[] not null default '{}',
    add column holidays date[] not null default '{}';
comment on column monitoring.feeds.calendar is 'The calendar of rampart.yml by which the age of its newest row is counted; null: every hour counts.';
comment on column monitoring.feeds.timezone is 'In which the days of the calendar begin and end.';
comment on column monitoring.feeds.closed_weekdays is 'Weekdays on which nothing is expected: 1 is Monday, 7 is Sunday.';
comment on column monitoring.feeds.holidays is 'Single days on which nothing is expected.';
