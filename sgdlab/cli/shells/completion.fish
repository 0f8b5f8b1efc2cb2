function __sgdlab_complete
    set -lx COMP_LINE (commandline -cp)
    set -l program (commandline -opc)[1]
    set -l found ($program -sc query=fish 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c sgdlab -f -a '(__sgdlab_complete)'
