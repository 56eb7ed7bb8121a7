-- Why did records end without a result?
select reason, stage, records, most_attempts, last
from dead_letters_by_reason
order by records desc, reason
limit 20;
