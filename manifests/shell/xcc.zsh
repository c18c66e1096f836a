#compdef xcc
# Completion of xcc for zsh: source <(xcc completion zsh), or as _xcc in a directory of $fpath
_xcc() {
  local current="${words[CURRENT]}"
  local -a asked=("${(@)words[1,CURRENT-1]}") candidates
  # What follows -- is an argument, and xcc would take the question for one.
  if (( ${asked[(Ie)--]} )); then _files; return; fi
  if [[ "$current" == -* ]]; then asked+=("$current"); fi
  candidates=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
  compadd -- "${(@)candidates:#}" || _files
}
if [[ "$funcstack[1]" == _xcc ]]; then _xcc "$@"; else compdef _xcc xcc; fi
