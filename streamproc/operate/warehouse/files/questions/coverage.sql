-- Of the events that have a result, how many has each version of the model answered?
select model, fingerprint, events, labelled, share, last
from coverage_by_version
order by last desc
limit 20;
