package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/web/signed"
)

var (
	errNoRoute   = errors.New("this safe has no such request")
	errNoPage    = errors.New("this safe has no such page")
	errHost      = errors.New("this safe does not go by the name that was asked for")
	errCrossSite = errors.New("the request does not come from a page of this safe")
	errSignedOut = errors.New("you are signed out")
	errType      = errors.New("the body of the request is not application/json as it stands")
	errTooFast   = errors.New("too many attempts from your address")
	errBusy      = errors.New("the safe is reading as much as it can at the moment")
)

func invalid(format string, args ...any) error {
	return &api.InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// problemOf is where errors become statuses, and texts for people. What is not
// known here is told to nobody.
func problemOf(err error) (int, api.Problem) {
	var (
		stranger *signed.RefusedError
		clock    *signed.ClockError
		denied   *api.DeniedError
		mistake  *api.InvalidError
		body     *bodyError
		large    *http.MaxBytesError
		network  net.Error
	)
	say := func(status int, text, remedy string) (int, api.Problem) {
		return status, api.Problem{Error: text, Remedy: remedy}
	}
	switch {
	case errors.As(err, &stranger):
		return say(http.StatusUnauthorized, stranger.Error(), "")
	case errors.As(err, &clock):
		return http.StatusUnauthorized, api.Problem{Error: clock.Error(), Remedy: "Set the clock that is wrong.", Now: clock.Safe.UTC()}
	case errors.Is(err, signed.ErrReplayed):
		return say(http.StatusConflict, signed.ErrReplayed.Error(), "Try again.")
	case errors.Is(err, signed.ErrTooMany), errors.Is(err, errTooFast):
		return say(http.StatusTooManyRequests, err.Error(), "Wait some minutes.")
	case errors.Is(err, errBusy):
		return say(http.StatusServiceUnavailable, err.Error(), "Try again in a minute.")
	case errors.Is(err, errNoRoute):
		return say(http.StatusNotFound, err.Error(), "Is your program of the same version as the safe's?")
	case errors.Is(err, errNoPage):
		return say(http.StatusNotFound, err.Error(), "Go to the overview.")
	case errors.Is(err, errHost):
		return say(http.StatusMisdirectedRequest, err.Error(), "Use the name that stands in its configuration, under serve.")
	case errors.Is(err, errCrossSite):
		return say(http.StatusForbidden, err.Error(), "Open the safe's own page, and try again there.")
	case errors.Is(err, errSignedOut):
		return say(http.StatusUnauthorized, err.Error(), "Sign in again.")
	case errors.Is(err, errType):
		return say(http.StatusUnsupportedMediaType, err.Error(), "")
	case errors.As(err, &large):
		return say(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is too large: %d bytes are possible here", large.Limit), "")
	case errors.Is(err, signed.ErrBody):
		return say(http.StatusBadRequest, signed.ErrBody.Error(), "Try again.")
	case errors.As(err, &mistake):
		return say(http.StatusBadRequest, mistake.Reason, "")
	case errors.As(err, &denied):
		return say(http.StatusForbidden, denied.Reason, "")
	case errors.Is(err, api.ErrNotFound):
		return say(http.StatusNotFound, api.ErrNotFound.Error(), "")
	case errors.Is(err, api.ErrBusy):
		return say(http.StatusConflict, api.ErrBusy.Error(), "")
	case errors.Is(err, opening.ErrState):
		return say(http.StatusConflict, opening.ErrState.Error(), "")
	case errors.As(err, &network) && network.Timeout():
		return say(http.StatusRequestTimeout, "the request did not come in time", "Try again on a faster line.")
	case errors.As(err, &body):
		return say(http.StatusBadRequest, "the body of the request did not come whole", "Try again.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return say(http.StatusServiceUnavailable, "the safe was stopped, or could not do it in time", "Look whether it was done, then try again.")
	}
	return say(http.StatusInternalServerError, "the safe could not do this", "Its log says why: ask who keeps the safe's host.")
}
