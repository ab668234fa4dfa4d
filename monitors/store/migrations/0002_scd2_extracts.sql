-- Which extracts an SCD2 dimension has taken in: an empty extract leaves no row in any other table.

create table monitoring.scd2_extracts (
    relation text not null,
    delivery_id bigint not null references monitoring.deliveries (delivery_id),
    is_new boolean not null,
    primary key (relation, delivery_id)
);
comment on table monitoring.scd2_extracts is 'One row per SCD2 dimension and extract that it has taken in; is_new marks those of its latest build. Written by dbt hooks, within the build of the dimension.';
