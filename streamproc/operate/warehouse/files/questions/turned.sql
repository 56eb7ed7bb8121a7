-- Which calls turned from neutral to angry, and how soon?
select tenant, call_id, channel, neutral_at, seconds, angry_segments
from calls_turned_angry
order by seconds, tenant, call_id, channel
limit 20;
