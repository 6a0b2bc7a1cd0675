#!/bin/bash
# Starts Sluice with a configuration of the user's own, /config/config.toml, or with one made of the form's answers.
set -euo pipefail

DATA=${DATA:-/data}
OWN=${OWN:-/config/config.toml}
# "nobody" of Debian: Sluice needs no right of root.
RUN_AS=65534

mkdir -p "$DATA/records"
if [ -e "$OWN" ]; then
    echo "using the configuration $OWN; the options of the form have no effect"
    config=$OWN
else
    config=$DATA/config.toml
    # A text of JSON is one of TOML, too.
    (umask 027 && jq -r '
        def set(key): if . == null or . == "" then empty else "\(key) = \(tojson)" end;
        . as $form |
        (.mode | set("mode")),
        "[listen]",
        "stratum = [\"0.0.0.0:3334\"]",
        "[http]",
        "listen = \"0.0.0.0:8080\"",
        (.token | set("token")),
        "[payout]",
        (.address | set("address")),
        (.pools[] | "[[upstream]]", set("url"), (if $form.mode == "aggregate" then $form.user | set("user") else empty end))
    ' "$DATA/options.json" >"$config")
fi

if [ "$(id -u)" -eq 0 ]; then
    chown -R "$RUN_AS:$RUN_AS" "$DATA/records"
    [ "$config" = "$OWN" ] || chown "root:$RUN_AS" "$config"
    exec setpriv --reuid="$RUN_AS" --regid="$RUN_AS" --clear-groups --no-new-privs --bounding-set=-all \
        /usr/bin/sluice run --config "$config" --data-dir "$DATA/records"
fi
exec /usr/bin/sluice run --config "$config" --data-dir "$DATA/records"
