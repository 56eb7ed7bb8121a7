-- Views over the tables that the connectors write; all times are UTC. Running this again changes nothing.

-- One row for each event: its newest analysis. A new model adds rows of its own and takes none away.
create or replace view results_newest as
select distinct on (event_id) *
from emotion_results
order by event_id, produced_at desc nulls last, result_id;

create or replace view angry_by_hour as
select
  date_trunc('hour', recorded_at) as hour,
  coalesce(queue, '(none)') as queue,
  count(*) as labelled,
  count(*) filter (where label = 'angry') as angry,
  round(avg((label = 'angry')::int), 3) as share
from results_newest
where status = 'ok'
group by 1, 2;

-- Calls of which an early segment of a channel is neutral and a later one of the same channel angry, over all recordings
-- of the call. A channel is one party, -1 the mix of all; a recording that was announced twice counts once.
create or replace view calls_turned_angry as
with once as (
  select distinct on (bucket, object_key, tenant, call_id, recorded_at) result_id, tenant
  from results_newest
  where call_id is not null
  order by bucket, object_key, tenant, call_id, recorded_at, produced_at desc nulls last, result_id
),
told as (
  select o.tenant, s.call_id, s.channel, s.label, s.recorded_at + s.start_ms * interval '1 ms' as at
  from emotion_segments s
  join once o using (result_id)
),
calm as (
  select tenant, call_id, channel, min(at) as neutral_at
  from told
  where label = 'neutral'
  group by tenant, call_id, channel
)
select
  told.tenant,
  told.call_id,
  told.channel,
  neutral_at,
  min(at) as angry_at,
  round(extract(epoch from min(at) - neutral_at), 1) as seconds,
  count(*) as angry_segments
from told
join calm on calm.tenant is not distinct from told.tenant and calm.call_id = told.call_id
  and calm.channel is not distinct from told.channel
where label = 'angry' and at > neutral_at
group by told.tenant, told.call_id, told.channel, neutral_at;

-- What share of the events that have a result each version of the model has answered; a version is a fingerprint.
-- Events that ended as dead letters have none: `dead_letters_by_reason` counts them.
create or replace view coverage_by_version as
select
  model,
  fingerprint,
  count(distinct event_id) as events,
  count(*) filter (where status = 'ok') as labelled,
  round(count(distinct event_id)::numeric / (select count(distinct event_id) from emotion_results), 3) as share,
  min(produced_at) as first,
  max(produced_at) as last
from emotion_results
group by model, fingerprint;

create or replace view dead_letters_by_reason as
select
  reason,
  stage,
  count(*) as records,
  max(attempts) as most_attempts,
  min(dead_at) as first,
  max(dead_at) as last
from dead_letters
group by reason, stage;
