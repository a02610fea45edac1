package eventstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	applicationName = "boxoffice" // unless the URL names another

	connectTimeout  = 5 * time.Second
	connectionIdle  = 5 * time.Minute  // an unused connection is closed after this
	keepAliveIdle   = 5 * time.Second  // a silent peer is asked after this
	keepAliveEvery  = 2 * time.Second  // and again
	keepAliveProbes = 3                // and given up after so many unanswered questions
	userTimeout     = 10 * time.Second // a peer that does not acknowledge what was sent is given up after this
)

// sessionSettings hold for every connection of OpenDB; a transaction that needs longer says SET LOCAL.
// They are set by a statement, because session poolers refuse unknown start-up parameters. Without jit = off
// the planner's guesses for a table that has no statistics yet make it compile the look-up of a few streams,
// which costs a hundred times what the look-up does.
const sessionSettings = `
SET TimeZone = 'UTC';
SET default_transaction_isolation = 'read committed';
SET statement_timeout = '30s';
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '10s';
SET jit = off;
SET client_min_messages = 'warning'`

// OpenDB makes a pool of at most maxConns connections to url (a postgres:// URL or a key=value string)
// with what the log needs: binary parameters, UTC, time limits on statements, locks, idle transactions
// and dead peers. It connects only when used.
func OpenDB(url string, maxConns int) (*sqlx.DB, error) {
	cfg, err := pq.NewConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	cfg.BinaryParameters = true
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = applicationName
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	connector.Dialer(dialer{})
	db := sql.OpenDB(sessions{connector})
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(connectionIdle)
	return sqlx.NewDb(db, "postgres"), nil
}

// sessions is a pq connector whose connections carry sessionSettings.
type sessions struct{ *pq.Connector }

// Connect opens a connection and prepares its session.
func (s sessions) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("prepare session: %T can't execute", conn)
	}
	if _, err := session.ExecContext(ctx, sessionSettings, nil); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("prepare session: %w", err)
	}
	return conn, nil
}

// dialer opens connections that notice a dead peer within seconds, whether data is under way or not.
type dialer struct{}

// Dial is DialContext without an end; pq.Dialer asks for it.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, connectTimeout)
}

// DialTimeout connects within timeout.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	plain := d.net()
	plain.Timeout = timeout
	return plain.Dial(network, address)
}

// DialContext connects while ctx lives.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	plain := d.net()
	return plain.DialContext(ctx, network, address)
}

func (dialer) net() net.Dialer {
	return net.Dialer{
		Timeout: connectTimeout,
		Control: limitUnacknowledged,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveEvery, Count: keepAliveProbes,
		},
	}
}
