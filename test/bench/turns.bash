# turns.bash ROUNDS PAYLOAD PREPARE COMMAND...: every round runs PREPARE, then each COMMAND in a /bin/sh of its own, as
# Claude Code runs its hooks, with PAYLOAD on stdin. Prints for each run the command's number and its microseconds.
# A shell starts a process in a third of the time that Node takes, which would hide what is measured here.

rounds=$1 payload=$2 prepare=$3
shift 3
for ((round = 0; round < rounds; round++)); do
  eval "$prepare"
  number=0
  for command; do
    start=$EPOCHREALTIME
    /bin/sh -c "$command" <"$payload" >/dev/null 2>&1
    end=$EPOCHREALTIME
    echo "$number $((${end/[.,]/} - ${start/[.,]/}))"
    number=$((number + 1))
  done
done
