_sgdlab() {
    local line program="${(Q)words[1]/#\~/$HOME}"
    local -a open whole
    while IFS= read -r line; do
        case $line in
            *[=./]) open+=("$line") ;;
            ?*) whole+=("$line") ;;
        esac
    done < <(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" "$program" -sc query=zsh 2>/dev/null)
    (( $#open + $#whole )) || { _files; return }
    compadd -S '' -a open
    compadd -a whole
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _sgdlab sgdlab
