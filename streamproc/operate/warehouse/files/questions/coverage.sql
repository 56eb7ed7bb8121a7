-- How much of all events has each version of the model answered?
select model, fingerprint, events, labelled, share, last
from coverage_by_version
order by last desc
limit 20;
