# Completion of xcc for bash: source <(xcc completion bash)
_xcc() {
  local current="${COMP_WORDS[COMP_CWORD]}" word
  local -a words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  # What follows -- is an argument, and xcc would take the question for one.
  for word in "${words[@]}"; do
    if [[ "$word" == -- ]]; then return; fi
  done
  if [[ "$current" == -* ]]; then words+=("$current"); fi
  mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current")
}
complete -o bashdefault -o default -F _xcc xcc
