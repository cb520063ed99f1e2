// Peer measurement: etcd, for comparison. Debian packages: golang-go golang-etcd-server-dev etcd-server openssl.
// Built outside modules, against the sources which Debian installs below /usr/share/gocode:
//   GO111MODULE=off GOPATH=$PWD/go:/usr/share/gocode go build -o etcdbench etcdbench.go

// 3-node etcd on loopback, mTLS client+peer, data on disk. Self-contained driver: starts, measures, kills own children only.
// build: GO111MODULE=off GOPATH=$PWD/go:/usr/share/gocode go build -o etcdbench etcdbench.go   (Debian golang-go + golang-etcd-server-dev)
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io/ioutil"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
)

var bin = flag.String("etcd", "/usr/bin/etcd", "")
var certs = flag.String("certs", "certs", "")
var data = flag.String("data", "/var/tmp/etcdbench", "")
var hb = flag.Int("hb", 100, "")
var el = flag.Int("el", 1000, "")
var mode = flag.String("mode", "perf", "perf|append|kill|stop|stab")
var runs = flag.Int("runs", 10, "")
var secs = flag.Int("secs", 8, "")
var useTLS = flag.Bool("tls", true, "")
var base = flag.Int("port", 23790, "")

type node struct {
	i   int
	cmd *exec.Cmd
}

var nodes [3]*node
var tcfg *tls.Config

func sch() string {
	if *useTLS {
		return "https"
	}
	return "http"
}
func cport(i int) int       { return *base + i*10 }
func pport(i int) int       { return *base + i*10 + 1 }
func ep(i int) string       { return fmt.Sprintf("%s://127.0.0.1:%d", sch(), cport(i)) }
func must(e error)          { if e != nil { fmt.Println("FATAL", e); stopAll(); os.Exit(1) } }
func start(i int, st string) {
	var ic []string
	for j := 0; j < 3; j++ {
		ic = append(ic, fmt.Sprintf("n%d=%s://127.0.0.1:%d", j, sch(), pport(j)))
	}
	a := []string{"--name", fmt.Sprintf("n%d", i), "--data-dir", filepath.Join(*data, strconv.Itoa(i)),
		"--listen-client-urls", ep(i), "--advertise-client-urls", ep(i),
		"--listen-peer-urls", fmt.Sprintf("%s://127.0.0.1:%d", sch(), pport(i)), "--initial-advertise-peer-urls", fmt.Sprintf("%s://127.0.0.1:%d", sch(), pport(i)),
		"--initial-cluster", strings.Join(ic, ","), "--initial-cluster-state", st, "--initial-cluster-token", "bench",
		"--heartbeat-interval", strconv.Itoa(*hb), "--election-timeout", strconv.Itoa(*el), "--logger", "zap", "--log-level", "error", "--log-outputs", filepath.Join(*data, fmt.Sprintf("%d.log", i))}
	if *useTLS {
		c := *certs
		a = append(a, "--cert-file", c+"/node.pem", "--key-file", c+"/node.key", "--client-cert-auth", "--trusted-ca-file", c+"/ca.pem",
			"--peer-cert-file", c+"/node.pem", "--peer-key-file", c+"/node.key", "--peer-client-cert-auth", "--peer-trusted-ca-file", c+"/ca.pem")
	}
	cmd := exec.Command(*bin, a...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	f, _ := os.OpenFile(filepath.Join(*data, fmt.Sprintf("%d.out", i)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0600)
	cmd.Stdout, cmd.Stderr = f, f
	must(cmd.Start())
	nodes[i] = &node{i, cmd}
}
func stopAll() {
	for _, n := range nodes {
		if n != nil && n.cmd.Process != nil {
			n.cmd.Process.Kill()
			n.cmd.Wait()
		}
	}
}
func cli(eps ...string) *clientv3.Client {
	c, e := clientv3.New(clientv3.Config{Endpoints: eps, DialTimeout: 5 * time.Second, TLS: tcfg})
	must(e)
	return c
}
func pct(d []time.Duration, p float64) float64 {
	s := append([]time.Duration{}, d...)
	sort.Slice(s, func(a, b int) bool { return s[a] < s[b] })
	return float64(s[int(float64(len(s)-1)*p)].Nanoseconds()) / 1e6
}
func leader(cs []*clientv3.Client) int {
	for {
		for i := range cs {
			ctx, cn := context.WithTimeout(context.Background(), 500*time.Millisecond)
			st, e := cs[i].Status(ctx, ep(i))
			cn()
			if e == nil && st.Leader == st.Header.MemberId && st.Leader != 0 {
				return i
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
func rss(i int) (string, string) {
	b, _ := ioutil.ReadFile(fmt.Sprintf("/proc/%d/status", nodes[i].cmd.Process.Pid))
	r, h := "", ""
	for _, l := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(l, "VmRSS") { r = strings.Fields(l)[1] }
		if strings.HasPrefix(l, "VmHWM") { h = strings.Fields(l)[1] }
	}
	return r, h
}
func cpu(i int) float64 {
	b, _ := ioutil.ReadFile(fmt.Sprintf("/proc/%d/stat", nodes[i].cmd.Process.Pid))
	f := strings.Fields(string(b[strings.LastIndex(string(b), ")")+2:]))
	u, _ := strconv.Atoi(f[11]); s, _ := strconv.Atoi(f[12])
	return float64(u+s) / 100
}
func wbytes(i int) string {
	b, _ := ioutil.ReadFile(fmt.Sprintf("/proc/%d/io", nodes[i].cmd.Process.Pid))
	for _, l := range strings.Split(string(b), "\n") { if strings.HasPrefix(l, "write_bytes") { return strings.Fields(l)[1] } }
	return "?"
}
func metric(i int, names ...string) map[string]float64 {
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: tcfg}, Timeout: 3 * time.Second}
	r, e := h.Get(ep(i) + "/metrics")
	m := map[string]float64{}
	if e != nil { return m }
	b, _ := ioutil.ReadAll(r.Body)
	r.Body.Close()
	for _, l := range strings.Split(string(b), "\n") {
		for _, n := range names {
			if strings.HasPrefix(l, n) { f := strings.Fields(l); v, _ := strconv.ParseFloat(f[len(f)-1], 64); m[n] += v }
		}
	}
	return m
}
func load() string { b, _ := ioutil.ReadFile("/proc/loadavg"); return strings.TrimSpace(string(b)) }

var mn = []string{"etcd_disk_wal_fsync_duration_seconds_count", "etcd_disk_backend_commit_duration_seconds_count", "etcd_network_peer_sent_bytes_total", "etcd_network_client_grpc_received_bytes_total", "etcd_server_proposals_committed_total"}

func main() {
	flag.Parse()
	os.RemoveAll(*data)
	must(os.MkdirAll(*data, 0700))
	defer os.RemoveAll(*data)
	if *useTLS {
		kp, e := tls.LoadX509KeyPair(*certs+"/node.pem", *certs+"/node.key")
		must(e)
		ca, _ := ioutil.ReadFile(*certs + "/ca.pem")
		p := x509.NewCertPool()
		p.AppendCertsFromPEM(ca)
		tcfg = &tls.Config{Certificates: []tls.Certificate{kp}, RootCAs: p}
	}
	v, _ := exec.Command(*bin, "--version").Output()
	fmt.Printf("== %s mode=%s tls=%v hb=%d el=%d load=%s\n", strings.Split(string(v), "\n")[0], *mode, *useTLS, *hb, *el, load())
	t0 := time.Now()
	for i := 0; i < 3; i++ { start(i, "new") }
	defer stopAll()
	var cs []*clientv3.Client
	for i := 0; i < 3; i++ { cs = append(cs, cli(ep(i))) }
	L := leader(cs)
	val := strings.Repeat("v", 256)
	ctx := context.Background()
	for { c2, cn := context.WithTimeout(ctx, time.Second); _, e := cs[L].Put(c2, "k", val); cn(); if e == nil { break } }
	fmt.Printf("cluster start -> first write: %d ms\n", time.Since(t0).Milliseconds())
	if *mode == "perf" { perf(cs, L, val) } else if *mode == "append" { appends(cs, L, val) } else if *mode == "stab" { stab(cs, L, val) } else { failover(cs, val) }
}
func perf(cs []*clientv3.Client, L int, val string) {
	ctx := context.Background()
	time.Sleep(2 * time.Second)
	for i := range cs { r, h := rss(i); fmt.Printf("idle rss node%d %s kB hwm %s\n", i, r, h) }
	c0 := [3]float64{cpu(0), cpu(1), cpu(2)}
	time.Sleep(5 * time.Second)
	fmt.Printf("idle cpu %% per node: %.1f %.1f %.1f\n", (cpu(0)-c0[0])*20, (cpu(1)-c0[1])*20, (cpu(2)-c0[2])*20)
	F := (L + 1) % 3
	for _, w := range []struct{ n string; i int }{{"leader", L}, {"follower", F}} {
		for rep := 0; rep < 3; rep++ {
			var d []time.Duration
			m0 := metric(L, mn...); w0 := wbytes(L)
			for i := 0; i < 1500; i++ { s := time.Now(); _, e := cs[w.i].Put(ctx, fmt.Sprintf("/k/%06d", i), val); must(e); d = append(d, time.Since(s)) }
			m1 := metric(L, mn...); w1 := wbytes(L)
			x, _ := strconv.Atoi(w0); y, _ := strconv.Atoi(w1)
			fmt.Printf("seq put 256B via %s n=1500: p50 %.3f ms p90 %.3f p99 %.3f max %.2f | leader per put: wal fsync %.2f, backend commits %.3f, peer bytes sent %.0f, disk write_bytes %.0f\n", w.n, pct(d, .5), pct(d, .9), pct(d, .99), pct(d, 1),
				(m1[mn[0]]-m0[mn[0]])/1500, (m1[mn[1]]-m0[mn[1]])/1500, (m1[mn[2]]-m0[mn[2]])/1500, float64(y-x)/1500)
		}
	}
	// linearizable + serializable reads
	for _, ser := range []bool{false, true} {
		var d []time.Duration
		for i := 0; i < 3000; i++ { s := time.Now(); var e error; if ser { _, e = cs[L].Get(ctx, "k", clientv3.WithSerializable()) } else { _, e = cs[L].Get(ctx, "k") }; must(e); d = append(d, time.Since(s)) }
		fmt.Printf("seq get via leader serializable=%v: p50 %.3f ms p99 %.3f\n", ser, pct(d, .5), pct(d, .99))
	}
	for _, conc := range []struct{ conns, clients int; tgt string }{{64, 64, "all"}, {16, 64, "leader"}, {1, 64, "leader"}, {64, 256, "leader"}} {
		best := 0.0; var line string
		for rep := 0; rep < 3; rep++ {
			var cl []*clientv3.Client
			for i := 0; i < conc.conns; i++ { t := L; if conc.tgt == "all" { t = i % 3 }; cl = append(cl, cli(ep(t))) }
			for _, c := range cl { _, e := c.Put(ctx, "warm", val); must(e) }
			m0 := metric(L, mn...); x, _ := strconv.Atoi(wbytes(L)); cc0 := cpu(0) + cpu(1) + cpu(2)
			var mu sync.Mutex; var d []time.Duration; var n int64; var wg sync.WaitGroup
			end := time.Now().Add(time.Duration(*secs) * time.Second); s0 := time.Now()
			for k := 0; k < conc.clients; k++ {
				wg.Add(1)
				go func(k int) {
					defer wg.Done()
					var l []time.Duration
					c := cl[k%len(cl)]
					for i := 0; time.Now().Before(end); i++ { s := time.Now(); if _, e := c.Put(ctx, fmt.Sprintf("/p/%03d/%05d", k, i%1000), val); e != nil { continue }; l = append(l, time.Since(s)); atomic.AddInt64(&n, 1) }
					mu.Lock(); d = append(d, l...); mu.Unlock()
				}(k)
			}
			wg.Wait()
			el := time.Since(s0).Seconds(); tp := float64(n) / el
			m1 := metric(L, mn...); y, _ := strconv.Atoi(wbytes(L)); cc1 := cpu(0) + cpu(1) + cpu(2)
			for _, c := range cl { c.Close() }
			fmt.Printf("  par run: %.0f put/s load=%s\n", tp, load())
			if tp > best { best = tp; line = fmt.Sprintf("par put 256B clients=%d conns=%d target=%s best-of-3: %.0f put/s p50 %.2f ms p99 %.2f ms | leader fsync/put %.3f disk B/put %.0f peer B/put %.0f | 3-node cpu %.0f%%", conc.clients, conc.conns, conc.tgt, tp, pct(d, .5), pct(d, .99), (m1[mn[0]]-m0[mn[0]])/float64(n), float64(y-x)/float64(n), (m1[mn[2]]-m0[mn[2]])/float64(n), (cc1-cc0)/el*100) }
		}
		fmt.Println(line)
	}
	for i := range cs { r, h := rss(i); fmt.Printf("after load rss node%d %s kB hwm %s\n", i, r, h) }
}
func failover(cs []*clientv3.Client, val string) {
	var res []time.Duration
	for r := 0; r < *runs; r++ {
		L := leader(cs)
		time.Sleep(time.Duration(*el)*time.Millisecond + 700*time.Millisecond + time.Duration(r*37)*time.Millisecond)
		L = leader(cs)
		var sv []*clientv3.Client
		for i := 0; i < 3; i++ { if i != L { c := cli(ep(i)); _, e := c.Put(context.Background(), "w", val); must(e); sv = append(sv, c) } }
		done := make(chan time.Time, 100000)
		stop := make(chan struct{})
		t0 := time.Now()
		if *mode == "kill" { nodes[L].cmd.Process.Signal(syscall.SIGKILL) } else { nodes[L].cmd.Process.Signal(syscall.SIGSTOP) }
		time.Sleep(2 * time.Millisecond)
		go func() {
			tk := time.NewTicker(4 * time.Millisecond); defer tk.Stop(); i := 0
			for { select { case <-stop: return; case <-tk.C: }
				c := sv[i%len(sv)]; i++
				go func() { x, cn := context.WithTimeout(context.Background(), 10*time.Second); defer cn(); if _, e := c.Put(x, "fo", val); e == nil { done <- time.Now() } }() }
		}()
		select {
		case t := <-done: res = append(res, t.Sub(t0)); fmt.Printf("  run %d leader n%d: %.0f ms\n", r, L, float64(t.Sub(t0).Microseconds())/1000)
		case <-time.After(15 * time.Second): fmt.Println("  run", r, "TIMEOUT")
		}
		close(stop)
		time.Sleep(100 * time.Millisecond)
		if *mode == "kill" { nodes[L].cmd.Wait(); start(L, "existing") } else { nodes[L].cmd.Process.Signal(syscall.SIGCONT) }
		for _, c := range sv { c.Close() }
		for { x, cn := context.WithTimeout(context.Background(), time.Second); _, e := cs[L].Put(x, "rejoin", val); cn(); if e == nil { break }; time.Sleep(50 * time.Millisecond) }
	}
	fmt.Printf("FAILOVER %s hb=%d el=%d n=%d: min %.0f p50 %.0f max %.0f ms load=%s\n", *mode, *hb, *el, len(res), pct(res, 0), pct(res, .5), pct(res, 1), load())
}

// spurious elections while 64 clients load all three nodes for -secs seconds (nothing is killed)
func stab(cs []*clientv3.Client, L int, val string) {
	time.Sleep(time.Second)
	lc := func() (r float64) { for i := 0; i < 3; i++ { if v := metric(i, "etcd_server_leader_changes_seen_total")["etcd_server_leader_changes_seen_total"]; v > r { r = v } }; return }
	a := lc(); var n, bad int64; var wg sync.WaitGroup; var worst int64
	end := time.Now().Add(time.Duration(*secs) * time.Second)
	for k := 0; k < 64; k++ { wg.Add(1); go func(k int) { defer wg.Done(); c := cli(ep(k % 3)); defer c.Close()
		for time.Now().Before(end) { x, cn := context.WithTimeout(context.Background(), 3*time.Second); s := time.Now(); _, e := c.Put(x, fmt.Sprintf("/s/%d", k), val); cn()
			d := int64(time.Since(s)); for { w := atomic.LoadInt64(&worst); if d <= w || atomic.CompareAndSwapInt64(&worst, w, d) { break } }
			if e != nil { atomic.AddInt64(&bad, 1) } else { atomic.AddInt64(&n, 1) } } }(k) }
	wg.Wait()
	fmt.Printf("STABILITY hb=%d el=%d %ds 64 clients: leader changes %.0f, puts %d (%.0f/s), errors %d, worst put %.0f ms load=%s\n", *hb, *el, *secs, lc()-a, n, float64(n)/float64(*secs), bad, float64(worst)/1e6, load())
}

// 64 puts of 256 B in flight against each way to connect that etcd is used with; one JSON line each. The caller takes the best.
func appends(cs []*clientv3.Client, L int, val string) {
	ctx := context.Background()
	for _, way := range []struct{ conns int; tgt string }{{1, "leader"}, {16, "leader"}, {64, "all"}} {
		var cl []*clientv3.Client
		for i := 0; i < way.conns; i++ { t := L; if way.tgt == "all" { t = i % 3 }; cl = append(cl, cli(ep(t))) }
		load := func(seconds int) (d []time.Duration, elapsed float64, failed int64) {
			var mu sync.Mutex; var wg sync.WaitGroup
			start := time.Now(); end := start.Add(time.Duration(seconds) * time.Second)
			for k := 0; k < 64; k++ {
				wg.Add(1)
				go func(k int) {
					defer wg.Done()
					var l []time.Duration
					for i := 0; time.Now().Before(end); i++ {
						s := time.Now()
						if _, e := cl[k%len(cl)].Put(ctx, fmt.Sprintf("/p/%03d/%05d", k, i), val); e != nil { atomic.AddInt64(&failed, 1); continue }
						l = append(l, time.Since(s))
					}
					mu.Lock(); d = append(d, l...); mu.Unlock()
				}(k)
			}
			wg.Wait()
			return d, time.Since(start).Seconds(), failed
		}
		load(1)
		c0 := [3]float64{cpu(0), cpu(1), cpu(2)}; var own0, own1 syscall.Rusage; syscall.Getrusage(syscall.RUSAGE_SELF, &own0)
		m0 := metric(L, mn...); w0, _ := strconv.Atoi(wbytes(L))
		d, elapsed, failed := load(*secs)
		m1 := metric(L, mn...); w1, _ := strconv.Atoi(wbytes(L))
		syscall.Getrusage(syscall.RUSAGE_SELF, &own1)
		for _, c := range cl { c.Close() }
		if len(d) == 0 { fmt.Println("FATAL no put was answered"); stopAll(); os.Exit(1) }
		own := float64(own1.Utime.Nano()+own1.Stime.Nano()-own0.Utime.Nano()-own0.Stime.Nano()) / 1e9
		fmt.Printf("{\"conns\":%d,\"target\":\"%s\",\"ops\":%.1f,\"answered\":%d,\"failed\":%d,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"cpuSeconds\":[%.2f,%.2f,%.2f],\"clientCpuSeconds\":%.2f,\"fsyncs\":%.0f,\"leaderDiskBytes\":%d}\n",
			way.conns, way.tgt, float64(len(d))/elapsed, len(d), failed, pct(d, .5), pct(d, .99), cpu(L)-c0[L], cpu((L+1)%3)-c0[(L+1)%3], cpu((L+2)%3)-c0[(L+2)%3], own, m1[mn[0]]-m0[mn[0]], w1-w0)
	}
}
