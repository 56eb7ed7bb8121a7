-- Which recordings took longest?
select
  object_key,
  processing_ms,
  duration_ms,
  codec,
  tier,
  attempts,
  -- The name that `publish` gave: text, since not every producer of results need have written JSON.
  substring(attributes_json from '"file_name": ?"((?:[^"\\]|\\.)*)"') as file_name,
  event_id
from results_newest
order by processing_ms desc nulls last, object_key
limit 10;
