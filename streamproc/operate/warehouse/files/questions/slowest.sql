-- Which recordings took longest?
select object_key, processing_ms, duration_ms, codec, tier, attempts
from results_newest
order by processing_ms desc nulls last, object_key
limit 10;
