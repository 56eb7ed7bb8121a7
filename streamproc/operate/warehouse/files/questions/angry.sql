-- In which hours and queues is the share of angry recordings largest?
select hour, queue, labelled, angry, share
from angry_by_hour
order by share desc, labelled desc, hour, queue
limit 20;
