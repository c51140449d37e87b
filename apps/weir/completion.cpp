#include "apps/weir/verbs.hpp"

namespace weir::command {

// Verbs and options are fixed; kinds and names are asked of the controller that --server or
// WEIR_SERVER names, quietly.
const char* bash_completion() {
    return R"script(_weir() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  local i verb= words=() ask=(weir)
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --server|--token|--ca) ask+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}"); ((++i)) ;;
      -o|--output|--service|--address|--limit|--revision|--timeout|--interval|-n|--rounds)
        ((++i)) ;;
      --to|--stub|--before-freeze|--when-frozen|--host|--state) ((++i)) ;;
      -*) ;;
      *) if [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; else words+=("${COMP_WORDS[i]}"); fi ;;
    esac
  done
  local choices=
  names() { "${ask[@]}" get "$1" -o name 2>/dev/null; }
  case $prev in
    -f|--file|--ca) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "table json yaml name" -- "$cur")); return ;;
    --to|--host) COMPREPLY=($(compgen -W "$(names host)" -- "$cur")); return ;;
    --state) COMPREPLY=($(compgen -W "all active maintenance failed avoided" -- "$cur")); return ;;
    --service) COMPREPLY=($(compgen -W "tcp/ udp/ icmp icmp6" -- "$cur")); return ;;
  esac
  if [[ $cur == -* ]]; then
    choices="--help --output --server --token --ca"
    case $verb in
      apply) choices+=" --file --dry-run --prune" ;;
      delete) choices+=" --dry-run" ;;
      wait) choices+=" --revision --timeout" ;;
      events) choices+=" --limit" ;;
      describe) choices+=" --service --address" ;;
      flows) choices+=" --service --address --limit" ;;
      flush) choices+=" --service --address --adopt" ;;
      top) choices+=" --interval --rounds" ;;
      trace) choices+=" -6 --deliver" ;;
      explain) choices+=" --service --address --limit" ;;
      show) choices+=" --host --state" ;;
      rotate-key) choices+=" --rollover --timeout" ;;
      migrate) choices+=" --to --dry-run --force --before-freeze --when-frozen --stub --timeout" ;;
    esac
  else
    case $verb:${#words[@]} in
      :*) choices="apply get describe delete kinds wait hosts events doctor flows flush drops"
          choices+=" top explain show migrate rotate-key counters trace query completion" ;;
      get:0|delete:0) choices=$("${ask[@]}" kinds -o name 2>/dev/null) ;;
      describe:0) choices="flow $("${ask[@]}" kinds -o name 2>/dev/null)" ;;
      describe:1) if [[ ${words[0]} == flow ]]; then choices="$(names port) $(names host)"
                  else choices=$(names "${words[0]}"); fi ;;
      get:1|delete:1) choices=$(names "${words[0]}") ;;
      flows:0|flush:0) choices="$(names port) $(names host)" ;;
      doctor:*|drops:0|counters:0|query:0) choices=$(names host) ;;
      migrate:0) choices="port node" ;;
      migrate:1) if [[ ${words[0]} == node ]]; then choices=$(names service-node)
        else choices=$(names port); fi ;;
      show:0) choices="rules chains paths nexthops spi-fail flow-prog nodes proxy-contexts"
          choices+=" segments" ;;
      show:1) case ${words[0]} in
          rules) choices=$(names port) ;;
          flow-prog) choices="flow_allow flow_drop flow_reset node_skip path_change chain_change"
              choices+=" set_tag" ;;
          chains|paths) choices=$(names service-chain) ;;
          nodes|proxy-contexts) choices=$(names service-node) ;;
          nexthops|segments) choices=$(names service-segment) ;;
        esac ;;
      trace:0|trace:1) choices=$(names port) ;;
      trace:2) choices="tcp/80 tcp/443 udp/53 icmp icmp6" ;;
      query:1) choices="counters flows program host-ports host-workers host-engines host-doctor" ;;
      completion:0) choices=bash ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
}
complete -F _weir weir
)script";
}

}  // namespace weir::command
