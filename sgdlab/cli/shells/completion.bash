# Candidates are whole words, one on a line. Where = and : break words (COMP_WORDBREAKS), readline replaces only
# the part after the last of them, so the part before it is cut off.
_sgdlab() {
    local word="${COMP_LINE:0:COMP_POINT}" kept="" mark head line
    word="${word##*[[:space:]]}"
    for mark in "=" ":"; do
        if [[ $COMP_WORDBREAKS == *"$mark"* && $word == *"$mark"* ]]; then
            head="${word%"${word##*"$mark"}"}"
            (( ${#head} > ${#kept} )) && kept="$head"
        fi
    done
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$kept"}")
    done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${1/#\~/$HOME}" -sc query=bash 2>/dev/null)
}
complete -o default -o nospace -F _sgdlab sgdlab
