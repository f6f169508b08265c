package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOfficerRulesOnTheMap has an officer say in a browser, with a passkey, what
// depends on what at a real safe: what was discovered and is rejected is off the
// map, at the safe's host as well, and what is taken back is there again.
func TestOfficerRulesOnTheMap(t *testing.T) {
	if testing.Short() {
		t.Skip("what people do takes a while")
	}
	s := newSite(t)
	write(t, filepath.Join(s.data, "shop", "compose.yaml"), "name: shop\nservices:\n  web: { image: nginx, depends_on: [ queue ] }\n  queue: { image: rabbitmq }\n")
	ada := s.guest("ada")
	ada.enrol("Make the outer key", "officer")
	s.enrol("bob", "operator", "--role-key", s.inner)
	ada.founds(lastWords(t, s.as("bob", "people", "add", "ada", "bob", "--yes", "--words", "ada="+ada.words)))
	s.as("safe", "collect", "erp-files")
	needs := func(want bool, what string) {
		t.Helper()
		if shown := s.as("safe", "map", "show", "service/shop/web"); strings.Contains(shown, "needs "+what) != want {
			t.Errorf("that web needs %s is %v, want %v:\n%s", what, !want, want, shown)
		}
	}
	// say gives a reason at a place of the page, and presses a button there.
	say := func(place, reason, button, said string) {
		t.Helper()
		ada.Click(place + " details.say summary")
		ada.Fill(place+" details.say input", reason)
		ada.Press(button)
		ada.says("#say-status .ended", said)
	}
	needs(true, "service/shop/queue")

	ada.Go(s.origin + "/map")
	ada.Click(`#components a[href="/map/component?id=service%2Fshop%2Fweb"]`)
	ada.Wait(`document.querySelector("#chosen details.say")`)
	ada.Go(s.origin + "/map/component?id=service%2Fshop%2Fweb")
	say(`#needs [data-other="service/shop/queue"]`, "it was switched off", "Reject with your passkey", "You have rejected that service/shop/web needs service/shop/queue.")
	ada.Wait(`!document.querySelector('#needs [data-other="service/shop/queue"]')`)
	needs(false, "service/shop/queue")
	entry := regexp.MustCompile(`(?m)^ *(\d+) .* map\.ruled +ada +service/shop/web does not need service/shop/queue \(start\), as people say; it was switched off$`).
		FindStringSubmatch(s.as("safe", "ledger", "show"))
	if entry == nil {
		t.Fatalf("the ledger says\n%s", s.as("safe", "ledger", "show"))
	}

	button := fmt.Sprintf("Take back entry %s with your passkey", entry[1])
	say("#known li[data-said]", "it was switched on again", button, fmt.Sprintf("What entry %s of the ledger says is taken back.", entry[1]))
	ada.Wait(`document.querySelector('#needs [data-other="service/shop/queue"]')`)
	needs(true, "service/shop/queue")

	ada.Fill("#say-to", "external/license.vendor.example")
	ada.Fill("#say-need", "start")
	ada.Fill("#say-why", "it asks for its licence")
	ada.Press("Add it with your passkey")
	ada.says("#say-status .ended", "You have added that service/shop/web needs external/license.vendor.example.")
	ada.Wait(`document.querySelector('#needs [data-other="external/license.vendor.example"] details.say')`)
	needs(true, "external/license.vendor.example")
	if n := ada.keep(); n != 3 {
		t.Errorf("it took %d touches, want one for each word", n)
	}
	link := s.mailed("ada@acme.example", "service/shop/web does not need service/shop/queue (start), as people say")
	if !strings.HasPrefix(link, s.origin) {
		t.Errorf("the mail links to %s", link)
	}
	s.as("safe", "ledger", "verify")
	if complaints := ada.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	s.knowsNothing(ada)
}
