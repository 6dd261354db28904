# What the node finds in its own namespaces. Runs once, in them, before anything else; the machine's own stay as they are.
# Arguments: a folder to keep files in, the name of the node's cgroup.
folder=$1 cgroup=$2

# containerd and the kubelet hand mounts on to their pods; nothing of it leaves this mount namespace.
mount --make-rshared /
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /var/lib/cni /var/lib/kubelet /var/log/containers

# The kubelet wants these values of the kernel, which are one for the whole machine: it reads them, and that is all.
mkdir -p "$folder/sysctl"
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=$folder/sysctl/$(basename "${setting%=*}")
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done

ip link set lo up
ip link add node0 type veth peer name nowhere
ip link set nowhere up
ip link set node0 up
ip addr add 10.250.0.1/24 dev node0
# The addresses of Services need some route before they are rewritten. It leads nowhere.
ip route add default via 10.250.0.254 dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

for controller in cpu cpuacct cpuset memory pids devices freezer blkio systemd; do
  mkdir -p "/sys/fs/cgroup/$controller/$cgroup"
done
for file in cpuset.cpus cpuset.mems; do
  cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$cgroup/$file"
done
