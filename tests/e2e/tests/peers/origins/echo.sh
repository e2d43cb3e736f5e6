#!/bin/sh
# Says what it was asked, by CGI.
printf 'Content-Type: text/plain\r\n\r\n%s %s\n' "$REQUEST_METHOD" "$REQUEST_URI"
exec cat
