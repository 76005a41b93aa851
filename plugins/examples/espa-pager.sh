#!/bin/sh
# Sink: pages through a pager system with an ESPA 4.4.4 serial input that takes blocks without polling.
#
#   espa-pager.sh DEVICE PAGER          the sink; DEVICE such as /dev/ttyS0 (9600 8N1), PAGER the number to call
#   espa-pager.sh --frame PAGER TEXT    writes one block to stdout and ends, to be looked at with od -c
#
# One-way: ESPA carries no id and no end of an alert, so starts are paged and everything else is only confirmed.
# ESPA_AFTER_STX=' ' sends the space that a published sample has after STX.
export LC_ALL=C

frame() { # PAGER TEXT: SOH 1 STX records ETX BCC; beep 3, call type 3 (page), sent 3 times, priority 3 (the lowest)
    body=$(printf '1\002%s1\037%s\0362\037%s\0363\0373\0364\0373\0365\0373\0366\0373\003' "$ESPA_AFTER_STX" "$1" "$2")
    bcc=0
    for byte in $(printf '%s' "$body" | od -An -v -tu1); do bcc=$((bcc ^ byte)); done
    printf '\001%s' "$body"
    printf "\\$(printf '%03o' "$bcc")"
}

say() { printf '%s\n' "$1"; }

field() { # NAME: a text of the message; escapes are gone already, so it ends at the next quote
    rest=${plain#*\""$1"\":\"}
    printf '%s' "${rest%%\"*}"
}

words() { # What the pager shows: the mode where it is not real, unit and bed, the text
    mode=$(field mode)
    [ "$mode" = real ] && mode=
    bed=$(field bed)
    printf '%s' "${mode:+$mode }${bed#*/} $(field text)" | tr 'a-z/' 'A-Z ' | cut -c1-128
}

page() {
    frame "$pager" "$(words)" >&3 || { say "{\"op\":\"retry\",\"key\":\"$key\",\"why\":\"cannot write\"}"; return; }
    if [ -t 3 ]; then # 6 is ACK, 21 is NAK
        case $(dd bs=1 count=1 <&3 2>/dev/null | od -An -tu1) in
        *" 6") ;;
        *" 21") say "{\"op\":\"retry\",\"key\":\"$key\",\"why\":\"pager system said NAK\"}"; return ;;
        *) say "{\"op\":\"retry\",\"key\":\"$key\",\"why\":\"no answer from the pager system\"}"; return ;;
        esac
    fi
    say "{\"op\":\"done\",\"key\":\"$key\"}"
}

if [ "$1" = --frame ]; then frame "$2" "$3"; exit; fi
pager=$2
exec 3<>"$1" || exit 1
if [ -t 3 ]; then stty raw -echo 9600 cs8 -parenb -cstopb min 0 time 20 <&3; fi # an answer within 2 s
while read -r line; do
    case $line in
    '{"op":"hello"'*) say '{"op":"ready","proto":1,"name":"espa-pager"}' ;;
    '{"op":"ping"'*) n=${line##*:} && say "{\"op\":\"pong\",\"n\":${n%\}}}" ;;
    '{"op":"alert"'*)
        # Escapes become blanks and other alphabets go: nothing in a text can end a record or a block.
        plain=$(printf '%s' "$line" | sed 's/\\\\/ /g; s/\\u..../ /g; s/\\./ /g' | tr -cd '\040-\176')
        key=$(field key)
        case $(field type) in
        alert.start) page ;;
        *) say "{\"op\":\"done\",\"key\":\"$key\"}" ;;
        esac ;;
    '{"op":"bye"'*) exit 0 ;;
    esac
done
