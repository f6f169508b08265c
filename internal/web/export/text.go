package export

import (
	"fmt"
	"strings"
)

// folder is where the examples have the files.
const folder = "/srv/strongroom-release"

// host is the name that the examples give to the host of the page.
func (s Site) host() string { return "keys." + s.Roster.Domain }

// readmeFirst begins the README of any such page, by which its folder is known.
const readmeFirst = "Release page of the safe "

func (s Site) readme() string {
	var headers strings.Builder
	for _, h := range s.Headers() {
		fmt.Fprintf(&headers, "    %s: %s\n", h.Name, h.Value)
	}
	return fmt.Sprintf(readme, readmeFirst, s.Safe, s.Roster.Store, s.Origin, s.Roster.Number, s.Roster.Domain, s.host(), headers.String())
}

const readme = `%s%s
Store %s, at %s, for version %d of its roster.

Keykeepers release here with their passkeys, by a page that nobody on the safe's
host can change. Whoever can change these files can: choose a host that neither
an operator nor who keeps the safe's host can write to, and compare SHA256SUMS
with what a second person's machine writes (strongroom web export).

1. Its name must be %[6]s or below it, and another one than the safe's,
   since that is what the passkeys are bound to: %[7]s, for instance.
2. Serve these files, and nothing else below that name, over HTTPS, without a
   redirect to another name. No program runs on the server. nginx.conf and
   Caddyfile are examples.
3. Send these headers with every file:

%[8]s
4. On the safe, name the page in the configuration and restart it; no other
   origin may ask the safe anything:

    serve:
      passkeys:
        release_pages: [ https://%[7]s ]

5. Look at the page, and compare its words with those on your paper.

After each change of the roster, and after a new version of strongroom on the
safe, write the page anew. It says so itself when the roster is another one.
`

// nginx is what nginx needs for the page.
func (s Site) nginx() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server {\n    listen 443 ssl;\n    server_name %s;\n    ssl_certificate     /etc/ssl/%[1]s.pem;\n    ssl_certificate_key /etc/ssl/%[1]s.key;\n    root %s;\n\n", s.host(), folder)
	for _, h := range s.Headers() {
		fmt.Fprintf(&b, "    add_header %s \"%s\" always;\n", h.Name, h.Value)
	}
	b.WriteString("}\n")
	return b.String()
}

// caddy is what Caddy needs for the page.
func (s Site) caddy() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s {\n\troot * %s\n\tfile_server\n\theader {\n", s.host(), folder)
	for _, h := range s.Headers() {
		fmt.Fprintf(&b, "\t\t%s \"%s\"\n", h.Name, h.Value)
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}
